/**
 * The socket that a server listens on, as a file: who may hold its path, and who may open it. Owns the rule that a stale socket is
 * replaced and a live one is not. Source: pkg/sys/socket_unix.go.
 */
import { constants } from "node:fs";
import { connect, type Server } from "node:net";
import { basename, dirname } from "node:path";
import { changeModeAt, changeOwnerAt, errorCode, type Files } from "../../platform/mod.ts";
import { ShiplogError } from "../../error.ts";

/** Bytes of a socket's path at most: containerd's bound, below the kernel's 108. */
export const SOCKET_PATH_BYTES_MAX = 104;

export interface SocketOptions {
  /** Permission bits; 0660 unless given. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

/**
 * Binds `server` to a unix socket at `path`, making its directory (0770) where it is missing.
 * @throws ShiplogError InvalidArgument when the path is too long, FailedPrecondition when a server answers there or a file that is no
 * socket is in the way; Error of the system call otherwise
 */
export async function listenOn(server: Server, path: string, options: SocketOptions, files: Files): Promise<void> {
  if (Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX) {
    throw new ShiplogError(
      "InvalidArgument",
      `listen on ${path}: the path is longer than ${SOCKET_PATH_BYTES_MAX} bytes`,
    );
  }
  await files.makeDirectory("socket.makeDirectory", dirname(path), 0o770);
  await removeStale(path, files);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => {
      server.off("error", reject);
      resolve();
    });
  });
  const directory = await files.open("socket.openDirectory", dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const name = basename(path);
    changeModeAt(directory.fd, name, options.mode ?? 0o660);
    if (options.uid !== undefined && options.gid !== undefined)
      changeOwnerAt(directory.fd, name, options.uid, options.gid);
  } finally {
    await files.close("socket.closeDirectory", directory);
  }
}

/**
 * Removes the socket file that a server which is gone has left.
 * @throws ShiplogError FailedPrecondition when a server answers there or the file is no socket
 */
export async function removeStale(path: string, files: Files): Promise<void> {
  try {
    const { mode } = await files.stat("socket.stat", path);
    if ((mode & constants.S_IFMT) !== constants.S_IFSOCK) {
      throw new ShiplogError("FailedPrecondition", `listen on ${path}: a file that is no socket is in the way`);
    }
  } catch (error) {
    if (errorCode(error) === "ENOENT") return;
    throw error;
  }
  if (await answers(path)) {
    throw new ShiplogError("FailedPrecondition", `listen on ${path}: another server answers there`, {
      reason: "SocketInUse",
    });
  }
  await files.unlink("socket.unlink", path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error) => {
      if (errorCode(error) === "ECONNREFUSED") resolve(false);
      else reject(error);
    });
  });
}
