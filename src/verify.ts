/**
 * Checking a root: that every byte of the log is what was written, that positions and stream versions have no hole, and that the tables
 * equal a fresh fold. Reads only; works on a stopped or copied root, and is what the running daemon answers `verify` with.
 */
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openFacts, type Position, verifyLog } from "./events/mod.ts";
import { Files } from "./platform/mod.ts";
import { checkRows, core, openRowsReadOnly, type StoreComparison } from "./projections/mod.ts";

export interface Problem {
  /** `log` for damage to the log, `tables` for rows that are not what the log says. */
  readonly kind: "log" | "tables";
  readonly message: string;
  readonly file?: string;
  readonly offset?: number;
  readonly position?: number;
}

export interface VerifyReport {
  readonly facts: number;
  readonly segments: number;
  /** Rows that equal the fresh fold: heads, ended streams and every version. */
  readonly rows: number;
  /** The first problems found; empty when everything agrees. */
  readonly problems: readonly Problem[];
}

/**
 * Verifies the log in `root`, then its tables by `compare`, which is not asked when the log itself is damaged. `to` is for a log that is
 * being written: what comes from that position on is not looked at.
 */
export async function verifyWith(
  root: string,
  to: Position | undefined,
  compare: () => Promise<StoreComparison | undefined>,
): Promise<VerifyReport> {
  const { facts, segments, problems } = await verifyLog(root, to === undefined ? {} : { to });
  const logProblems = problems.map((problem): Problem => ({ kind: "log", ...problem }));
  if (logProblems.length > 0) return { facts, segments, rows: 0, problems: logProblems };
  const comparison = await compare();
  return {
    facts,
    segments,
    rows: comparison?.equal ?? 0,
    problems: (comparison?.differences ?? []).map((message): Problem => ({ kind: "tables", message })),
  };
}

/** Verifies a root that no daemon has open. Tables that are not there are no problem: the next start builds them. */
export async function verifyRoot(root: string): Promise<VerifyReport> {
  const files = new Files();
  return verifyWith(root, undefined, async () => {
    const rows = await openRowsReadOnly(root, core, files);
    if (rows === undefined) return undefined;
    const facts = await openFacts(root);
    const scratch = await mkdtemp(join(tmpdir(), "shiplog-verify-"));
    try {
      return await checkRows(core, facts, rows, scratch);
    } finally {
      await rows.close();
      await files.rm("verify.remove", scratch);
    }
  });
}
