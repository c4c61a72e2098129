/**
 * Waiting for a descriptor on Node's own event loop, through the libuv that the node binary exports: no thread, no blocking call.
 *
 * Owns the poll handles. It must not be given a descriptor that Node watches itself (a socket, a stream), works on the main thread only,
 * and never closes a descriptor.
 */
import koffi from "koffi";
import { libc } from "./kernel.ts";

/** What can be waited for; sums are sets. `Disconnect` is a peer that hung up (EPOLLRDHUP), `Priority` is POLLPRI (libuv: uv.h, uv_poll_event). */
export const PollEvent = { Readable: 1, Writable: 2, Disconnect: 4, Priority: 8 } as const;

export interface DescriptorPoll {
  /** Begins to wait for `events`, a sum of PollEvents, or changes what is waited for. */
  start(events: number): void;
  /** Waits no more; `start` begins again. A poll that is stopped does not keep the process alive. */
  stop(): void;
  /** Ends it for good, before the descriptor is closed. Calling it again does nothing. */
  close(): void;
}

const uv = koffi.load(null);
const handleSize = uv.func("size_t uv_handle_size(int)");
const defaultLoop = uv.func("void *uv_default_loop()");
const pollInit = uv.func("int uv_poll_init(void *, void *, int)");
const pollStart = uv.func("int uv_poll_start(void *, int, void *)");
const pollStop = uv.func("int uv_poll_stop(void *)");
const closeHandle = uv.func("void uv_close(void *, void *)");
const errorName = uv.func("const char *uv_err_name(int)");
const malloc = libc.func("void *malloc(size_t)");
const free = libc.func("void free(void *)");

/** uv_handle_type of a poll handle. */
const UV_POLL = 8;

type Handle = bigint;

/** By handle: who waits. One callback is registered for all, since koffi has room for few. */
const waiting = new Map<Handle, (events: number, status: number) => void>();

// libuv calls outside of a Node callback scope: promises resolved there would not run on. setImmediate runs in the same turn of the loop.
const ready = koffi.register(
  (handle: Handle, status: number, events: number) => {
    const tell = waiting.get(handle);
    if (tell !== undefined) setImmediate(tell, events, status);
  },
  koffi.pointer(koffi.proto("void ShiplogPollReady(void *, int, int)")),
);
const closed = koffi.register((handle: Handle) => free(handle), koffi.pointer(koffi.proto("void ShiplogPollClosed(void *)")));

/**
 * Makes a poll of `descriptor`; it waits once `start` is called. As long as what is waited for holds, `onReady` is called again in each
 * turn of the loop, with a sum of PollEvents, or with an error when the poll itself failed; never after `stop` or `close`.
 * @throws Error with libuv's name of the error, EPERM for a descriptor that cannot be polled (a regular file)
 */
export function openPoll(descriptor: number, onReady: (events: number, error?: Error) => void): DescriptorPoll {
  const handle: Handle = malloc(handleSize(UV_POLL));
  const failed = pollInit(defaultLoop(), handle, descriptor);
  if (failed < 0) {
    free(handle);
    throw pollError(failed, descriptor);
  }
  // A call that was on its way when the poll was stopped, and perhaps started again, is not for the new start.
  let started = 0;
  let isClosed = false;
  return {
    start(events) {
      if (isClosed) throw new Error(`poll descriptor ${descriptor}: it is closed`);
      const mine = ++started;
      waiting.set(handle, (told, status) => {
        if (mine !== started) return;
        if (status < 0) onReady(told, pollError(status, descriptor));
        else onReady(told);
      });
      const answer = pollStart(handle, events, ready);
      if (answer < 0) throw pollError(answer, descriptor);
    },
    stop() {
      if (isClosed) return;
      started++;
      pollStop(handle);
    },
    close() {
      if (isClosed) return;
      isClosed = true;
      started++;
      waiting.delete(handle);
      closeHandle(handle, closed);
    },
  };
}

function pollError(status: number, descriptor: number): Error {
  const code = errorName(status) as string;
  return Object.assign(new Error(`poll descriptor ${descriptor}: ${code}`), { code });
}
