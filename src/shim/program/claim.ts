/**
 * Who serves an address. Of several shims that start for one group at the same time one listens and the others find it; a socket that nobody
 * listens at is replaced; a shim that lives never is, however slow it answers.
 *
 * Owns the sockets' directory. What is decided by looking and then done is done under a lock on that directory.
 */
import { chmodSync, closeSync, constants, existsSync, fstatSync, mkdirSync, openSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { errorCode, tryLock } from "../../platform/mod.ts";
import { socketPathOfAddress, type TtrpcServer } from "../ttrpc/mod.ts";

/** How long another shim may take to look and listen. */
const lockMsMax = 10_000;
const lockAskEveryMs = 3;

/** Listens at the address, or finds that another process does. @throws Error of the system, or when the directory is not this user's alone */
export async function listenUnlessServed(server: TtrpcServer, address: string): Promise<"listening" | "served"> {
  const path = socketPathOfAddress(address);
  const directory = openSocketDirectory(dirname(path));
  try {
    await lock(directory, dirname(path));
    try {
      await listenPrivately(server, path);
    } catch (error) {
      if (errorCode(error) !== "EADDRINUSE") throw error;
      if (await isServed(address)) return "served";
      rmSync(path, { force: true });
      await listenPrivately(server, path);
    }
    return "listening";
  } finally {
    closeSync(directory);
  }
}

/** Closes the server, whose socket goes with it, while nobody decides about that. Resolves when its connections have ended too. */
export async function closeServed(server: TtrpcServer, address: string): Promise<void> {
  const path = socketPathOfAddress(address);
  const directory = openSocketDirectory(dirname(path));
  let closing: Promise<void>;
  try {
    await lock(directory, dirname(path));
  } finally {
    closing = server.close();
    closeSync(directory);
  }
  await closing;
}

/** Removes the socket that a shim left which was killed. One that a shim listens at stays, and nothing there is no error. */
export async function removeUnlessServed(address: string): Promise<void> {
  const path = socketPathOfAddress(address);
  if (!existsSync(path)) return;
  const directory = openSocketDirectory(dirname(path));
  try {
    await lock(directory, dirname(path));
    if (!(await isServed(address))) rmSync(path, { force: true });
  } finally {
    closeSync(directory);
  }
}

/** True when a process listens at the address; it may be too busy to answer. */
export async function isServed(address: string): Promise<boolean> {
  const path = socketPathOfAddress(address);
  return new Promise((resolve, reject) => {
    const socket = connect({ path }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", (error) => {
      const code = errorCode(error);
      if (code === "ECONNREFUSED" || code === "ENOENT") resolve(false);
      // So many wait to be taken in that there is no room for one more.
      else if (code === "EAGAIN") resolve(true);
      else reject(error);
    });
  });
}

/** Listens at a path that only this user can connect to, from the first moment. */
export async function listenPrivately(server: TtrpcServer, path: string): Promise<void> {
  const umask = process.umask(0o177);
  let listening: Promise<void>;
  try {
    // The socket is made before this returns; only what comes of it is told later.
    listening = server.listen(path);
  } finally {
    process.umask(umask);
  }
  await listening;
  chmodSync(path, 0o600);
}

function openSocketDirectory(path: string): number {
  mkdirSync(dirname(path), { recursive: true, mode: 0o711 });
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (errorCode(error) !== "EEXIST") throw error;
  }
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  const { uid, mode } = fstatSync(descriptor);
  if (uid !== process.geteuid?.() || (mode & 0o022) !== 0) {
    closeSync(descriptor);
    throw new Error(`listen in ${path}: others than its owner can write there`);
  }
  return descriptor;
}

async function lock(directory: number, path: string): Promise<void> {
  const deadline = Date.now() + lockMsMax;
  while (!tryLock(directory)) {
    if (Date.now() > deadline)
      throw new Error(`listen in ${path}: another shim has not finished doing so in ${lockMsMax} ms`);
    await delay(lockAskEveryMs);
  }
}
