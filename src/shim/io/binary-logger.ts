/**
 * A program that logs a process's output (`binary://`): the contract between containerd and its loggers, to the letter (pkg/process/io.go, and
 * pkg/shim's `binary-v2` of later versions). Owns the logger's process, started before the container's and ended after it. The output
 * goes through plain pipes: when the logger dies, the process gets EPIPE as with containerd.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeDescriptor, makePipe, notNow, openPoll, PollEvent, readNow, setBlocking } from "../../platform/mod.ts";
import { goErrorText } from "./error.ts";
import type { StdioRequest } from "./stdio.ts";
import type { StdioUri } from "./stdio-uri.ts";

/** containerd waits without end; a logger that never gets ready must not keep a shim's queue. */
const readyMsMax = 30_000;
/** A logger that has seen the end of its input leaves by itself, with everything written. */
const leaveMsMax = 2_000;
/** containerd's own: 10 s for the logger to clean up, and some. */
const terminateMsMax = 12_000;

export interface BinaryLogger {
  /** The pipes' other ends, blocking, for the process; closed by the caller. */
  readonly stdout: number;
  readonly stderr: number;
  /** Ends the logger, kindly first. Calling it again changes nothing. */
  close(): Promise<void>;
}

/** Starts the logger that a `binary` or `binary-v2` URI names, and awaits that it is ready. @throws Error in containerd's words */
export async function startBinaryLogger(uri: StdioUri, request: StdioRequest): Promise<BinaryLogger> {
  const stdout = makePipe();
  const stderr = makePipe();
  const ready = makePipe();
  const logger = spawn(uri.path, argumentsOf(uri), {
    // containerd gives an exec's logger the exec's id in the place of the container's.
    env: { CONTAINER_ID: request.execId || request.containerId, CONTAINER_NAMESPACE: request.namespace },
    stdio: ["ignore", "ignore", "ignore", stdout.reader, stderr.reader, ready.writer],
  });
  const spawned = new Promise<void>((resolve, reject) => logger.once("spawn", resolve).once("error", reject));
  const left = new Promise<void>((resolve) => logger.once("exit", () => resolve()).once("error", () => resolve()));
  for (const end of [stdout.reader, stderr.reader, ready.writer]) closeDescriptor(end);
  try {
    await spawned.catch((cause) => {
      throw new Error(`failed to start binary process: fork/exec ${uri.path}: ${goErrorText(cause)}`, { cause });
    });
    await isReady(ready.reader, uri.scheme === "binary-v2");
  } catch (thrown) {
    logger.kill("SIGKILL");
    closeDescriptor(stdout.writer);
    closeDescriptor(stderr.writer);
    throw thrown;
  } finally {
    closeDescriptor(ready.reader);
  }
  let closing: Promise<void> | undefined;
  return {
    stdout: stdout.writer,
    stderr: stderr.writer,
    close() {
      closing ??= end(logger, left);
      return closing;
    },
  };
}

/** Each key of the query and its first value. */
function argumentsOf({ query }: StdioUri): string[] {
  return [...new Set(query.keys())].flatMap((key) => [key, query.get(key) ?? ""]);
}

/** Readiness is a byte, or for the first version of the contract also the end. The caller closes the descriptor. */
async function isReady(descriptor: number, needsByte: boolean): Promise<void> {
  setBlocking(descriptor, false);
  const told = Promise.withResolvers<number>();
  const poll = openPoll(descriptor, (_events, error) => {
    try {
      if (error) throw error;
      const bytes = readNow(descriptor, Buffer.alloc(1));
      if (bytes !== notNow) told.resolve(bytes);
    } catch (thrown) {
      told.reject(thrown);
    }
  });
  const timer = setTimeout(() => told.reject(new Error(`not ready within ${readyMsMax} ms`)), readyMsMax);
  let bytes: number;
  try {
    poll.start(PollEvent.Readable);
    bytes = await told.promise;
  } catch (cause) {
    throw new Error(`failed to read from logging binary: ${goErrorText(cause)}`, { cause });
  } finally {
    clearTimeout(timer);
    poll.close();
  }
  if (needsByte && bytes === 0)
    throw new Error("logging binary did not call ready (it may have crashed or exited prematurely)");
}

async function end(logger: ChildProcess, left: Promise<void>): Promise<void> {
  if (await leavesWithin(leaveMsMax, left)) return;
  logger.kill("SIGTERM");
  if (await leavesWithin(terminateMsMax, left)) return;
  logger.kill("SIGKILL");
  await left;
}

async function leavesWithin(milliseconds: number, left: Promise<void>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, milliseconds, false);
  });
  try {
    return await Promise.race([left.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
