/**
 * Checkpoints of a task: the shim writes the images of its processes, the caller takes them from there. And what a task is restored from.
 *
 * Owns the directories for the images, which live no longer than the task's bundle, and the order of intent, images and outcome. What
 * becomes of the images, and where those to restore from come from, is the callers' business.
 */
import { mkdir, rm } from "node:fs/promises";
import type { AnyValue, Descriptor } from "../events/catalogue.ts";
import type { Origin } from "../ledger.ts";
import type { TaskKey } from "./bundle.ts";
import {
  causedBy,
  type Done,
  processName,
  report,
  shimOf,
  type TaskContext,
  taskOf,
  throwIfStopping,
  transactTask,
} from "./context.ts";
import { shimFailure } from "./shim-error.ts";

export interface Checkpoint {
  /** For the shim, as the client gave them. */
  readonly options: AnyValue | null;
  /** The client's directory for the images; empty where `store` takes them. */
  readonly path: string;
  /** The options say that the task is to end with it. */
  readonly exit: boolean;
  /** Makes content of the images in a directory, which goes once this is done. Not called where the client has named a directory. */
  readonly store: (directory: string) => Promise<readonly Descriptor[]>;
}

export interface Checkpointed extends Done {
  readonly content: readonly Descriptor[];
}

/** @throws ShiplogError NotFound, Unknown for a task that does not run, else of the shim's class with its text */
export function checkpointTask(
  context: TaskContext,
  origin: Origin,
  key: TaskKey,
  checkpoint: Checkpoint,
): Promise<Checkpointed> {
  return context.queue.run(processName(key), async () => {
    const { path, exit } = checkpoint;
    const intent = await transactTask(context, origin, key, (_, view) => {
      taskOf(view, key);
      return [{ type: "CheckpointTask", id: key.id, path, exit }];
    });
    const outcome = causedBy(origin, intent, "TaskCheckpointing");
    let content: readonly Descriptor[];
    try {
      content = await take(context, key, checkpoint);
    } catch (error) {
      throwIfStopping(context);
      const failure = shimFailure(error);
      await report(context, outcome, key, () => [{ type: "RecordCheckpointFailed", message: failure.message }]);
      throw failure;
    }
    const { next } = await report(context, outcome, key, () => [{ type: "RecordCheckpointed", content }]);
    return { content, next };
  });
}

async function take(
  context: TaskContext,
  key: TaskKey,
  { options, path, store }: Checkpoint,
): Promise<readonly Descriptor[]> {
  const { connection } = shimOf(context, key);
  if (path !== "") {
    await connection.checkpoint(path, options);
    return [];
  }
  const directory = context.bundles.imagesPathOf(key, "checkpoint");
  try {
    await makeEmpty(directory);
    await connection.checkpoint(directory, options);
    return await store(directory);
  } finally {
    await removeCheckpoint(context, key);
  }
}

/** Removes the images that a checkpoint has not got rid of itself. They go with the bundle at the latest. */
export async function removeCheckpoint({ bundles, logger }: TaskContext, key: TaskKey): Promise<void> {
  const directory = bundles.imagesPathOf(key, "checkpoint");
  try {
    await rm(directory, { recursive: true, force: true });
  } catch (error) {
    logger.warn({ ...key, err: error, directory }, "remove the images of a checkpoint");
  }
}

/** Fills a directory with the images to restore from. */
export type UnpackCheckpoint = (directory: string) => Promise<void>;

/** The directory that the task is restored from, which the client has named or which is the bundle's own; empty for none. */
export function restoreDirectory(
  { bundles }: TaskContext,
  key: TaskKey,
  checkpoint: string | UnpackCheckpoint,
): string {
  return typeof checkpoint === "string" ? checkpoint : bundles.imagesPathOf(key, "restore");
}

/** To be called once the bundle is there. */
export async function unpackCheckpoint(
  context: TaskContext,
  key: TaskKey,
  checkpoint: string | UnpackCheckpoint,
): Promise<void> {
  if (typeof checkpoint === "string") return;
  const directory = restoreDirectory(context, key, checkpoint);
  await makeEmpty(directory);
  await checkpoint(directory);
}

async function makeEmpty(directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { mode: 0o700 });
}
