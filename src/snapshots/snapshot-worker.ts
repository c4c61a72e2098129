/**
 * The program of a snapshot worker thread: does one job at a time with blocking calls, so that the daemon's own thread makes none of them.
 * Owns nothing between jobs.
 */
import { createHash } from "node:crypto";
import { closeSync, constants, openSync, readSync } from "node:fs";
import { parentPort } from "node:worker_threads";
import type { DiffJob, FromWorker, JobKind, Jobs, ToWorker } from "./jobs.ts";
import { applyLayerHere } from "./layer-apply.ts";
import { compressed } from "./compress.ts";
import { layerPieces } from "./layer-diff.ts";
import { treeChanges, upperChanges } from "./tree-changes.ts";
import { flattenError } from "./layer-errors.ts";
import { removeTree, treeUsage } from "./tree.ts";
import { cloneTree } from "./tree-clone.ts";
import { changeLines } from "./change-lines.ts";

const readBytes = 256 * 1024;
const owner = parentPort;
if (owner === null) throw new Error("snapshot-worker runs in a worker thread only");

let pieceArrived: ((message: ToWorker) => void) | undefined;

owner.on("message", (message: ToWorker) => {
  if (message.message !== "job") pieceArrived?.(message);
  else void answer(message);
});

async function answer(job: ToWorker & { message: "job" }): Promise<void> {
  try {
    tell({ message: "done", answer: await perform(job) });
  } catch (thrown) {
    tell({ message: "failed", error: flattenError(thrown) });
  }
}

function tell(message: FromWorker): void {
  owner?.postMessage(message);
}

async function perform(job: ToWorker & { message: "job" }): Promise<Jobs[JobKind]["answer"]> {
  const proceed = () => {
    if (Atomics.load(job.cancelled, 0) !== 0) throw new Error("cancelled");
  };
  switch (job.kind) {
    case "apply": {
      const { blob, mediaType, target } = job.given;
      return applyLayerHere(blob === undefined ? pulled() : fileContent(blob), mediaType, target, proceed);
    }
    case "diff":
      return writeLayer(job.given, proceed);
    case "usage": {
      const directory = openSync(job.given.directory, constants.O_RDONLY | constants.O_DIRECTORY);
      try {
        return treeUsage(directory);
      } finally {
        closeSync(directory);
      }
    }
    case "changes": {
      for (const piece of changeLines(job.given.left, job.given.right)) {
        proceed();
        await give(piece);
      }
      return null;
    }
    case "clone":
      return cloneTree(job.given.source, job.given.target, proceed);
    case "remove": {
      const directory = openSync(job.given.directory, constants.O_RDONLY | constants.O_DIRECTORY);
      try {
        removeTree(directory, job.given.name);
      } finally {
        closeSync(directory);
      }
      return null;
    }
    default:
      return job satisfies never;
  }
}

/** The content of a file, read by this thread: the pool's threads are few and the log needs them. */
async function* fileContent(path: string): AsyncGenerator<Buffer> {
  const file = openSync(path, constants.O_RDONLY);
  try {
    for (;;) {
      const buffer = Buffer.allocUnsafeSlow(readBytes);
      const length = readSync(file, buffer, 0, readBytes, null);
      if (length === 0) return;
      yield buffer.subarray(0, length);
    }
  } finally {
    closeSync(file);
  }
}

/** The bytes that the owner has, one piece asked for at a time. */
async function* pulled(): AsyncGenerator<Buffer> {
  for (;;) {
    const message = await new Promise<ToWorker>((resolve) => {
      pieceArrived = resolve;
      tell({ message: "pull" });
    });
    if (message.message !== "piece") throw new Error("the source failed");
    if (message.bytes === undefined) return;
    yield Buffer.from(message.bytes.buffer, message.bytes.byteOffset, message.bytes.byteLength);
  }
}

async function writeLayer({ left, right, form, compression, latest }: DiffJob, proceed: () => void): Promise<string> {
  const hash = createHash("sha256");
  const archive = function* () {
    const changes = form === "upper" ? upperChanges(left, right) : treeChanges(left, right);
    for (const piece of layerPieces(changes, latest)) {
      proceed();
      hash.update(piece);
      yield piece;
    }
  };
  for await (const piece of compressed(archive(), compression)) await give(piece);
  return `sha256:${hash.digest("hex")}`;
}

/** Hands a piece of a job's output to the owner, and waits until it has been taken. */
async function give(piece: Uint8Array): Promise<void> {
  // A copy, since a compressor's piece may be a view of a buffer that it goes on filling.
  const bytes = new Uint8Array(piece);
  const message = await new Promise<ToWorker>((resolve) => {
    pieceArrived = resolve;
    owner?.postMessage({ message: "output", bytes } satisfies FromWorker, [bytes.buffer]);
  });
  if (message.message !== "taken") throw new Error("nobody takes what the job makes");
}
