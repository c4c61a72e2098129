import { type Command, ExitStatus, UsageError } from "../command.ts";

const formats = ["mermaid", "xstate", "svg"] as const;

export const charts: Command = {
  name: "charts",
  summary: "print the charts: what can become of what, by which commands",
  help: `Usage: shiplog charts [NAME] [--format ${formats.join("|")}]

Prints the chart of a kind of entity, or of every one. It is the machine that decides what is legal; no daemon is asked.

  --format mermaid   a state diagram, as documents on the web show it (the default)
  --format xstate    the machine's configuration in JSON, for xstate and its tools
  --format svg       a drawing; of one chart

  shiplog charts task --format svg >task.svg

docs/reference/charts.md has them all. See also: shiplog explain.
`,
  flags: { format: { type: "string" } },

  async run({ out }, flags, operands) {
    const [name, surplus] = operands;
    if (surplus !== undefined) throw new UsageError(`charts takes one NAME at most, but got "${surplus}" as well`);
    const format = formats.find((known) => known === (flags.format ?? "mermaid"));
    if (format === undefined) throw new UsageError(`--format is ${formats.join(", ")}, not "${flags.format}"`);

    // Loaded here, for the machines take longer to load than most commands to run.
    const { charts: all } = await import("../../machines/charts.ts");
    if (name !== undefined && !Object.hasOwn(all, name)) {
      throw new UsageError(`there is no chart "${name}"; charts are ${Object.keys(all).join(", ")}`);
    }
    const wanted = Object.entries(all).filter(([known]) => name === undefined || known === name);
    const { chartConfig, chartGraph } = await import("../../machines/mod.ts");
    switch (format) {
      case "xstate": {
        const configurations = wanted.map(([known, chart]) => [known, chartConfig(chart)] as const);
        const shown = name === undefined ? Object.fromEntries(configurations) : configurations[0]![1];
        await out.lines(JSON.stringify(shown, null, 2));
        break;
      }
      case "svg": {
        if (name === undefined) throw new UsageError("--format svg draws one chart: say which");
        const { svgChart } = await import("../render/chart-svg.ts");
        await out.lines(svgChart(chartGraph(wanted[0]![1])));
        break;
      }
      case "mermaid": {
        const { mermaidChart } = await import("../render/chart-mermaid.ts");
        const diagrams = wanted.map(([known, chart]) => `%% ${known}\n${mermaidChart(chartGraph(chart))}`);
        await out.lines(name === undefined ? diagrams.join("\n\n") : mermaidChart(chartGraph(wanted[0]![1])));
        break;
      }
    }
    return ExitStatus.fine;
  },
};
