import { type Finding, type Origin, Repair } from "../../wire/gen/shiplog/collection/v1/collection.ts";
import { type Command, type Context, ExitStatus, UsageError } from "../command.ts";
import { counted, integer, localTime, printable, utcTime } from "../render/mod.ts";

export const fsck: Command = {
  name: "fsck",
  summary: "check that disk, mounts and processes are what the tables say; --repair removes orphans",
  help: `Usage: shiplog fsck [--repair]

Compares snapshots' directories, content, uploads, bundles, shims, runc's states and mounts with the tables, and attachments with the log.
Lists everything that neither knows, with the facts that made it, and everything that a table knows and that is missing. What a call under
way is just making is not among them. The exit status is 1 when something was found, also when it was repaired.

      --repair   remove what no table knows
`,
  flags: { repair: { type: "boolean" } },

  async run(context, flags, operands) {
    if (operands.length > 0) throw new UsageError(`fsck takes no operand, but got "${operands[0]}"`);
    const repair = flags.repair === true;
    const findings: Finding[] = [];
    for await (const response of context.collection.check({ repair })) findings.push(...response.findings);
    await context.out.lines(...(context.json ? findings.map(findingJson) : findingLines(findings, repair, context)));
    return findings.length === 0 ? ExitStatus.fine : ExitStatus.problem;
  },
};

function findingLines(findings: readonly Finding[], repair: boolean, { out: { style } }: Context): string[] {
  const lines = findings.flatMap((finding) => [
    `${style("bold", finding.kind)} ${printable(finding.place)}: ${printable(finding.message)}${outcome(finding)}`,
    ...(finding.origins.length === 0 ? ["  the log knows nothing of it"] : finding.origins.map(originLine)),
  ]);
  if (findings.length === 0) return [style("green", "nothing is there that should not be, and nothing is missing")];
  const done = findings.filter((finding) => finding.repair === Repair.REPAIRED).length;
  const verdict = `${counted(findings.length, "finding")}${repair ? `, ${done} repaired` : ""}`;
  return [...lines, style(done === findings.length ? "green" : "red", verdict)];
}

function outcome({ repair, repairMessage }: Finding): string {
  switch (repair) {
    case Repair.NOT_ASKED_FOR:
      return "";
    case Repair.REPAIRED:
      return "; removed";
    case Repair.FAILED:
      return `; could not be removed: ${printable(repairMessage)}`;
    case Repair.IMPOSSIBLE:
      return "; cannot be repaired from here";
    default:
      return repair satisfies never;
  }
}

function originLine({ position, timeUnixNano, namespace, stream, type, uid, pid }: Origin): string {
  return printable(
    `  ${type} at ${position}, ${localTime(timeUnixNano)}, ${stream} in namespace ${namespace}, by uid ${uid} pid ${pid}`,
  );
}

function findingJson({ kind, place, message, origins, repair, repairMessage }: Finding): string {
  const facts = origins.map(({ position, timeUnixNano, ...rest }) => ({
    position: integer(position),
    time: utcTime(timeUnixNano),
    ...rest,
  }));
  const outcomes = {
    [Repair.NOT_ASKED_FOR]: undefined,
    [Repair.REPAIRED]: "repaired",
    [Repair.FAILED]: "failed",
    [Repair.IMPOSSIBLE]: "impossible",
  };
  return JSON.stringify({
    kind,
    place,
    message,
    facts,
    repair: outcomes[repair],
    repairMessage: repairMessage || undefined,
  });
}
