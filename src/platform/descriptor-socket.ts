/**
 * A unix socket at which one descriptor is received (SCM_RIGHTS): how an OCI runtime hands over the master of a terminal. Node's own
 * sockets cannot receive descriptors. Owns the listening socket and the connection; the descriptor belongs to who received it.
 */
import koffi from "koffi";
import { closeDescriptor } from "./at.ts";
import { cString, kernelCall, libc } from "./kernel.ts";
import { type OperationHook, proceed } from "./operation.ts";
import { type DescriptorPoll, openPoll, PollEvent } from "./poll.ts";

const c = {
  socket: libc.func("int socket(int, int, int)"),
  bind: libc.func("int bind(int, const void *, unsigned int)"),
  listen: libc.func("int listen(int, int)"),
  accept4: libc.func("int accept4(int, void *, void *, int)"),
  recvmsg: libc.func("intptr_t recvmsg(int, void *, int)"),
};

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_CTRUNC = 0x8;
const MSG_CMSG_CLOEXEC = 0x40000000;
/** sun_path holds 108 bytes, the NUL among them. */
const socketPathBytesMax = 107;
/** What is sent along is the terminal's name, which nobody needs. */
const nameBytesMax = 4096;
/** struct cmsghdr (16 bytes) and one int, padded to 8. */
const controlBytes = 24;

/** Where one descriptor is awaited. */
export interface DescriptorSocket {
  /** Resolves with the descriptor, which is not inherited by programs; rejects when what came was none, or on `close` before. */
  readonly received: Promise<number>;
  /** Stops listening; the socket's file is the caller's to remove. Calling it again does nothing. */
  close(): void;
}

/** Listens at `path`, which must not be there yet. @throws KernelError; RangeError when the path is longer than a socket's may be */
export function listenForDescriptor(path: string, hook: OperationHook = proceed): DescriptorSocket {
  const address = cString(path, "bind");
  if (address.length > socketPathBytesMax + 1)
    throw new RangeError(
      `listen at '${path}': ${address.length - 1} bytes, a socket's path has at most ${socketPathBytesMax}`,
    );
  const name = Buffer.alloc(2 + address.length);
  name.writeUInt16LE(AF_UNIX);
  address.copy(name, 2);
  const listener = kernelCall("socket", hook, {}, () =>
    c.socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
  );
  const received = Promise.withResolvers<number>();
  let descriptor = listener;
  let poll: DescriptorPoll | undefined;
  const close = () => {
    if (descriptor < 0) return;
    poll?.close();
    closeDescriptor(descriptor);
    descriptor = -1;
    received.reject(new Error(`receive a descriptor at '${path}': closed before one came`));
  };
  /** One at a time is waited for: first the listener, then the connection. */
  const wait = (step: () => void) => {
    poll = openPoll(descriptor, (_events, error) => {
      try {
        if (error) throw error;
        step();
      } catch (thrown) {
        received.reject(thrown);
        close();
      }
    });
    poll.start(PollEvent.Readable);
  };
  try {
    kernelCall("bind", hook, { path }, () => c.bind(listener, name, name.length));
    kernelCall("listen", hook, { path }, () => c.listen(listener, 1));
    wait(() => {
      const connection = kernelCall("accept4", hook, { path }, () =>
        c.accept4(descriptor, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC),
      );
      poll?.close();
      closeDescriptor(descriptor);
      descriptor = connection;
      wait(() => {
        received.resolve(receive(connection, path, hook));
        close();
      });
    });
  } catch (thrown) {
    received.promise.catch(() => {});
    close();
    throw thrown;
  }
  // Nobody may be waiting yet, or ever, when it fails.
  received.promise.catch(() => {});
  return { received: received.promise, close };
}

/** Where the parts of one recvmsg lie in one buffer, so that all of them live as long as the call. */
const layout = { message: 0, vector: 56, control: 72, name: 96, end: 96 + nameBytesMax } as const;

function receive(connection: number, path: string, hook: OperationHook): number {
  const memory = Buffer.alloc(layout.end);
  const at = koffi.address(memory);
  // struct iovec, then struct msghdr: name, length of name, vector, number of vectors, control, length of control, flags.
  memory.writeBigUInt64LE(at + BigInt(layout.name), layout.vector);
  memory.writeBigUInt64LE(BigInt(nameBytesMax), layout.vector + 8);
  memory.writeBigUInt64LE(at + BigInt(layout.vector), 16);
  memory.writeBigUInt64LE(1n, 24);
  memory.writeBigUInt64LE(at + BigInt(layout.control), 32);
  memory.writeBigUInt64LE(BigInt(controlBytes), 40);
  kernelCall("recvmsg", hook, { path }, () => c.recvmsg(connection, memory, MSG_CMSG_CLOEXEC));
  const isCutShort = (memory.readUInt32LE(48) & MSG_CTRUNC) !== 0;
  const [level, type] = [memory.readUInt32LE(layout.control + 8), memory.readUInt32LE(layout.control + 12)];
  if (Number(memory.readBigUInt64LE(40)) < 16 + 4 || level !== SOL_SOCKET || type !== SCM_RIGHTS)
    throw new Error(`receive a descriptor at '${path}': none came`);
  const count = (Number(memory.readBigUInt64LE(layout.control)) - 16) / 4;
  const descriptors = Array.from({ length: count }, (_, index) => memory.readInt32LE(layout.control + 16 + 4 * index));
  if (count === 1 && !isCutShort) return descriptors[0]!;
  for (const each of descriptors) closeDescriptor(each);
  throw new Error(`receive a descriptor at '${path}': more than one came`);
}
