/** Runs one program to its end, quietly: its output is shown only when it fails. */
import { spawnSync } from "node:child_process";
import { delimiter, sep } from "node:path";

/** @throws Error with the command and the end of its output when it cannot be run or fails. */
export function run(program, args, options = {}) {
  const { status, error, output } = attempt(program, args, options);
  const command = [program, ...args].join(" ");
  if (error) throw new Error(`cannot run ${command}: ${error.message}`);
  if (status !== 0) throw new Error(`${command} failed:\n${output}`);
}

/** Like `run`, but tells the outcome instead of throwing. */
export function attempt(program, args, options = {}) {
  const result = spawnSync(program, args, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    maxBuffer: 2 ** 26,
    ...options,
  });
  return { status: result.status, error: result.error, output: `${result.stdout || ""}${result.stderr || ""}`.trim() };
}

/**
 * The environment without node_modules/.bin in PATH, which npm puts there: while node_modules is being replaced, `node` must be the
 * machine's own.
 */
export function withoutProjectBinaries(env = process.env) {
  const path = (env.PATH || "").split(delimiter).filter((folder) => !folder.endsWith(`node_modules${sep}.bin`));
  return { ...env, PATH: path.join(delimiter) };
}
