/**
 * From the command line to what is to be done. Loads only what that needs: `start` and `delete` are waited for.
 *
 * Owns the exit status and what is written to the caller's streams.
 */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { leaveSession } from "../../platform/mod.ts";
import { type CommandLine, parseCommandLine } from "./command-line.ts";

/** Where a spare's caller speaks to it. */
const callerDescriptor = 3;

/** Runs the action and resolves when the process may go on, or end, by itself. Never rejects. `starter` is the pid of whoever ran the command. */
export async function main(args: readonly string[], starter: number): Promise<void> {
  try {
    const line = parseCommandLine(args);
    if (line.showsVersion) return await showVersion();
    if (line.showsInfo) return await showInfo();
    switch (line.action) {
      case "serve":
        return await serve(line, starter);
      case "delete":
        return await remove(line);
      case "spare":
        return await spare(starter);
      default:
        throw new Error(`unknown action ${JSON.stringify(line.action)}: start, delete or spare`);
    }
  } catch (error) {
    process.stderr.write(`io.containerd.shiplog.v1: ${error instanceof Error ? error.message : String(error)}\n`, () =>
      process.exit(1),
    );
  }
}

/** `start`, as the launcher calls it: in the background, with a pipe for the answer. */
async function serve(line: CommandLine, starter: number): Promise<void> {
  leaveSession();
  const { assignmentOfStart } = await import("./assignment.ts");
  const { answer, answerText, releaseStreams } = await import("./answer.ts");
  const { keepMemorySmall } = await import("./memory.ts");
  const { serveBundle } = await import("./shim-program.ts");
  const parts = await import("../service/mod.ts");
  const assignment = assignmentOfStart(line, process.env, process.cwd(), readFileSync(0));
  const text = process.env.MAX_SHIM_VERSION;
  dropOwnVariables();
  const { address, program } = await serveBundle(assignment, parts, starter);
  if (program === undefined) {
    answer(answerText(address, text));
    process.exit(0);
  }
  program.surviveFaults();
  try {
    answer(answerText(address, text));
  } catch {
    return program.end("nobody waits for the answer");
  }
  releaseStreams(program.logDescriptor);
  keepMemorySmall();
}

/** Descriptor 3 is the caller's end of a pair of sockets. */
async function spare(starter: number): Promise<void> {
  leaveSession();
  const { releaseStreams } = await import("./answer.ts");
  const { keepMemorySmall } = await import("./memory.ts");
  const { waitForWork } = await import("./spare.ts");
  const parts = await import("../service/mod.ts");
  dropOwnVariables();
  waitForWork(callerDescriptor, parts, starter, (program) => {
    program.surviveFaults();
    releaseStreams(program.logDescriptor);
  });
  keepMemorySmall();
}

async function remove(line: CommandLine): Promise<void> {
  const { namespace, id, bundle } = line;
  if (namespace === "") throw new Error("shim namespace cannot be empty");
  const { deleteBundle, removeSockets } = await import("./delete.ts");
  const { DeleteResponse } = await import("../../wire/gen/containerd/task/v2/shim.ts");
  const grouping = process.env.SHIPLOG_SHIM_GROUPING;
  dropOwnVariables();
  const place = bundle ?? join(dirname(process.cwd()), id);
  const warn = (text: string) => process.stderr.write(`${text}\n`);
  const deleted = await deleteBundle(namespace, id, place, warn);
  await removeSockets(line, place, grouping).catch((error: Error) =>
    warn(`remove the shim's socket: ${error.message}`),
  );
  process.stdout.write(DeleteResponse.encode(deleted).finish());
}

async function showVersion(): Promise<void> {
  const { versionText } = await import("./version.ts");
  process.stdout.write(versionText(process.argv[1] ?? ""));
}

async function showInfo(): Promise<void> {
  const { runtimeInfo } = await import("./version.ts");
  process.stdout.write(await runtimeInfo(readFileSync(0)));
}

/** What the launcher, or shiplogd, says to this process alone is not for the programs that it runs. */
function dropOwnVariables(): void {
  for (const name of ["MALLOC_ARENA_MAX", "SHIPLOG_SHIM_GROUPING", "SHIPLOG_SHIM_CGROUP", "SHIPLOG_SHIM_STARTER"])
    delete process.env[name];
}
