/** How likely the kernel is to kill the shim when the machine runs out of memory. Owns the rule, which is containerd's. */
import { readFileSync, writeFileSync } from "node:fs";

/** The highest value of oom_score_adj (proc(5)). */
const scoreMax = 1000;

/**
 * Sets the score of process `pid` to one above that of process `daemon`, so that the daemon outlives its shims (containerd:
 * runtime/v2/shim/util_unix.go). @throws Error with containerd's texts
 */
export function adjustOomScore(pid: number, daemon: number): void {
  let score: number;
  try {
    score = Number.parseInt(readFileSync(`/proc/${daemon}/oom_score_adj`, "latin1"), 10);
  } catch (cause) {
    throw new Error(`get parent OOM score: ${(cause as Error).message}`, { cause });
  }
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, String(Math.min(score + 1, scoreMax)));
  } catch (cause) {
    throw new Error(`set shim OOM score: ${(cause as Error).message}`, { cause });
  }
}
