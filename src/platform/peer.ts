/** Who is at the other end of a unix socket. Owns nothing; must not be asked about a socket that has no peer. */
import type { Socket } from "node:net";
import { kernelCall, libc } from "./kernel.ts";
import { type OperationHook, proceed } from "./operation.ts";

const getsockopt = libc.func("int getsockopt(int, int, int, void *, void *)");
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;

/** The peer's process, user and group as they were when it connected, in the reader's namespaces. */
export interface Peer {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** Reads SO_PEERCRED of a connected unix socket. @throws KernelError, or an Error when the socket is closed already */
export function peerOf(socket: Socket, hook: OperationHook = proceed): Peer {
  // Node has no public way to a socket's descriptor; this one has been there since the first releases.
  const descriptor = (socket as unknown as { _handle?: { fd?: number } | null })._handle?.fd;
  if (descriptor === undefined || descriptor < 0) throw new Error("read peer of a socket: it is closed");
  const credentials = Buffer.alloc(12);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(credentials.length);
  kernelCall("getsockopt", hook, {}, () => getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, credentials, length));
  return { pid: credentials.readInt32LE(0), uid: credentials.readUInt32LE(4), gid: credentials.readUInt32LE(8) };
}
