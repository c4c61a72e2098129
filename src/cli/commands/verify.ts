import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Command, type Context, ExitStatus, Refusal, UsageError } from "../command.ts";
import { counted, printable } from "../render/mod.ts";

/** What a verification found, from the daemon or from a root; numbers as they are shown. */
interface Report {
  readonly facts: number;
  readonly segments: number;
  readonly rows: number;
  readonly problems: readonly Problem[];
}

interface Problem {
  readonly kind: string;
  readonly message: string;
  readonly file?: string;
  readonly offset?: number;
  readonly position?: number;
}

export const verify: Command = {
  name: "verify",
  summary: "check that the log is whole and that the tables are what it says",
  help: `Usage: shiplog verify [--root DIR]

Reads the whole log and compares the tables with a fresh fold of it. Every problem is named; the exit status is 1 when there is one.

  --root DIR   check a root that no daemon has open, without a daemon
`,
  flags: { root: { type: "string" } },

  async run(context, flags, operands) {
    if (operands.length > 0) throw new UsageError(`verify takes no operand, but got "${operands[0]}"`);
    const report = flags.root === undefined ? await fromDaemon(context) : await fromRoot(resolve(String(flags.root)));
    const { out, json } = context;
    if (json) {
      await out.lines(JSON.stringify(report));
    } else {
      const read = `${counted(report.facts, "fact")} in ${counted(report.segments, "segment")}, ${counted(report.rows, "row")}`;
      const found = report.problems.length;
      const verdict = found === 0 ? out.style("green", "all agree") : out.style("red", counted(found, "problem"));
      await out.lines(...report.problems.map(problemLine), `${read}: ${verdict}`);
    }
    return report.problems.length === 0 ? ExitStatus.fine : ExitStatus.problem;
  },
};

async function fromDaemon({ log }: Context): Promise<Report> {
  const { facts, segments, rows, problems } = await log.verify({});
  return {
    facts: Number(facts),
    segments: Number(segments),
    rows: Number(rows),
    // The wire has no "absent" for a place: only a problem that names a file has an offset.
    problems: problems.map(({ kind, message, file, offset, position }) => ({
      kind,
      message,
      ...(file === "" ? {} : { file, offset: Number(offset), position: Number(position) }),
    })),
  };
}

async function fromRoot(root: string): Promise<Report> {
  if (!existsSync(join(root, "log"))) throw new Refusal(`${root} is no root: it has no log`);
  // The log and its tables are a large part of the daemon; no other command has to load them.
  const { verifyRoot } = await import("../../verify.ts");
  return verifyRoot(root);
}

function problemLine({ kind, message, file, offset, position }: Problem): string {
  const place = [file ?? "", offset === undefined ? "" : `offset ${offset}`, position === undefined ? "" : `position ${position}`];
  const where = place.filter((part) => part !== "").join(", ");
  return printable(`${kind}: ${message}${where === "" ? "" : ` (${where})`}`);
}
