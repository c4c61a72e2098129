/** Running another program to its end. Owns the waiting and the telling of what went wrong; not for programs that live long or talk. */
import { execFile } from "node:child_process";
import { type OperationHook, proceed } from "./operation.ts";

/** What a program may say on its standard output and error; more ends it. */
const outputBytesMax = 1024 * 1024;

/**
 * Runs `file` with `args`, found by PATH, and resolves with its standard output once it has ended well.
 * @throws Error with the tail of what it said on standard error, and the original error as cause
 */
export async function runProgram(
  operation: string,
  file: string,
  args: readonly string[],
  hook: OperationHook = proceed,
): Promise<string> {
  hook(operation);
  return new Promise((resolve, reject) => {
    execFile(file, args, { maxBuffer: outputBytesMax }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`run ${file}: ${stderr.trim().slice(-1024) || error.message}`, { cause: error }));
    });
  });
}
