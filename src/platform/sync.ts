/**
 * syncfs: everything written to a file system so far is on its disk. A run takes as long as the disk needs, on a thread of libuv's pool;
 * so at most one runs per file system, and all who ask while one runs share the next.
 */
import { open, stat } from "node:fs/promises";
import { kernelCallAsync, libc } from "./kernel.ts";
import { type OperationHook, proceed } from "./operation.ts";

const syncfs = libc.func("int syncfs(int)");

interface Runs {
  readonly running: Promise<void>;
  next?: Promise<void>;
}

const runsByDevice = new Map<bigint, Runs>();

/** Resolves when what was written below `directory`'s file system before the call is on disk. @throws KernelError, EIO when a write was lost */
export async function syncFilesystem(directory: string, hook: OperationHook = proceed): Promise<void> {
  const { dev } = await stat(directory, { bigint: true });
  const runs = runsByDevice.get(dev);
  // A run under way may have passed over what this caller wrote last, so it waits for the one after it.
  if (runs !== undefined) {
    runs.next ??= runs.running.then(
      () => run(dev, directory, hook),
      () => run(dev, directory, hook),
    );
    return runs.next;
  }
  return run(dev, directory, hook);
}

function run(device: bigint, directory: string, hook: OperationHook): Promise<void> {
  const running = sync(directory, hook);
  const runs: Runs = { running };
  runsByDevice.set(device, runs);
  const settled = () => {
    if (runs.next === undefined) runsByDevice.delete(device);
  };
  running.then(settled, settled);
  return running;
}

async function sync(directory: string, hook: OperationHook): Promise<void> {
  const handle = await open(directory);
  try {
    await kernelCallAsync("syncfs", hook, { path: directory }, [], (answered) => syncfs.async(handle.fd, answered));
  } finally {
    await handle.close();
  }
}
