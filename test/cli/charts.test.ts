/** Charts as Mermaid, as a drawing and as the reference page. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { chartsDocument } from "../../src/cli/render/chart-document.ts";
import { mermaidChart } from "../../src/cli/render/chart-mermaid.ts";
import { svgChart } from "../../src/cli/render/chart-svg.ts";
import { charts } from "../../src/machines/charts.ts";
import { buildChart, stay } from "../../src/machines/chart.ts";
import { chartGraph } from "../../src/machines/mod.ts";

type Command = "Open" | "Shut" | "Lock" | "Slam" | "Paint" | "Oil" | "Knock" | "Look";
const door = chartGraph(
  buildChart<"open" | "shut" | "locked", Command>("door", "shut", {
    open: { ...stay("open", ["Paint"]), Shut: "shut", Slam: { when: "keyInside", to: "locked", otherwise: "shut" } },
    shut: { ...stay("shut", ["Paint", "Oil", "Knock", "Look"]), Open: "open", Lock: "locked" },
    locked: {},
  }),
);

test("the charts' reference page is what the charts say; npm run generate writes it", async () => {
  assert.equal(await readFile(new URL("../../docs/reference/charts.md", import.meta.url), "utf8"), chartsDocument());
});

test("a Mermaid chart has every way, with its condition, and many that stay in one", () => {
  assert.deepEqual(mermaidChart(door).split("\n"), [
    "stateDiagram-v2",
    "  [*] --> shut",
    "  open --> shut: Shut",
    "  open --> locked: Slam [keyInside]",
    "  open --> shut: Slam [not keyInside]",
    "  open --> open: Paint",
    "  shut --> open: Open",
    "  shut --> locked: Lock",
    "  %% Paint, Oil, Knock, Look",
    "  shut --> shut: 4 commands",
  ]);
});

const attribute = (tag: string, name: string) => Number(new RegExp(` ${name}="([\\d.]+)"`).exec(tag)![1]);

/** The boxes of a drawing, from left to right. */
function boxesOf(svg: string) {
  return [...svg.matchAll(/<rect x=[^>]*>/g)].map(([tag]) => {
    const [x, y] = [attribute(tag, "x"), attribute(tag, "y")];
    return { left: x, right: x + attribute(tag, "width"), top: y, bottom: y + attribute(tag, "height") };
  });
}

for (const graph of [door, ...Object.values(charts).map((chart) => chartGraph(chart))]) {
  test(`the drawing of the ${graph.name} has a box for each status and a line for each way, and no line crosses a box`, () => {
    const svg = svgChart(graph);
    const boxes = boxesOf(svg);
    assert.equal(boxes.length, graph.statuses.length);
    for (const [index, { left }] of boxes.slice(1).entries()) assert.ok(left > boxes[index]!.right, "boxes lie apart");
    const texts = [...svg.matchAll(/<text [^>]*>([^<]*)<\/text>/g)].map(([, text]) => text!);
    for (const status of graph.statuses) assert.ok(texts.includes(status), status);
    const moves = graph.edges.filter(({ from, to }) => from !== to);
    for (const { command } of moves)
      assert.ok(
        texts.some((text) => text.split(" ")[0] === command),
        command,
      );

    const lines = [...svg.matchAll(/<path d="M([\d.]+),([\d.]+) V([\d.]+) H([\d.]+) V([\d.]+)"/g)];
    assert.equal(lines.length, new Set(moves.map(({ from, to }) => `${from} ${to}`)).size);
    const { top, bottom } = boxes[0]!;
    for (const [, , start, y, , end] of lines) {
      assert.equal(start, end);
      assert.ok(Number(start) === top ? Number(y) < top : Number(start) === bottom && Number(y) > bottom);
    }
    // Two lines along the same height keep apart, and so do two beside each other.
    const levels = lines.map(
      ([, from, , y, to]) => [Number(y), ...[Number(from), Number(to)].sort((a, b) => a - b)] as const,
    );
    for (const [index, [y, from, to]] of levels.entries()) {
      for (const [otherY, otherFrom, otherTo] of levels.slice(index + 1)) {
        if (y === otherY) assert.ok(to! < otherFrom! || otherTo! < from!, `${y}: ${from} to ${to}`);
      }
    }
  });

  test(`the drawing of the ${graph.name} is well-formed`, () => {
    const open: string[] = [];
    for (const [tag, closing, name, self] of svgChart(graph).matchAll(/<(\/?)([a-z]+)(?:\s[^<>]*?)?(\/?)>/g)) {
      if (closing === "/") assert.equal(open.pop(), name, tag);
      else if (self !== "/") open.push(name!);
    }
    assert.deepEqual(open, []);
    assert.doesNotMatch(svgChart(graph), /NaN|Infinity|undefined/);
  });
}
