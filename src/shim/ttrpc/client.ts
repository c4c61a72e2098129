/**
 * A ttrpc client: calls and streams over one connection.
 *
 * Owns the connection and the calls that wait on it: each gets its reply, a status, or TtrpcClosed when the connection
 * ends; none is ever left waiting. It never connects again and never repeats a call: only the caller knows whether that is
 * safe. The protocol has no way to take a call back, so one that is out of time or aborted may still be carried out, and
 * its late reply is dropped.
 */
import * as net from "node:net";
import type { MethodDefinition, RequestOf, ResponseOf, ServiceDefinition } from "../../wire/definition.ts";
import { Request, Response } from "../../wire/gen/ttrpc/request.ts";
import { socketPathOfAddress } from "./address.ts";
import { FrameChannel } from "./channel.ts";
import { ClientStream } from "./client-stream.ts";
import { StatusCode, TtrpcClosed, TtrpcError } from "./error.ts";
import { type Frame, FrameFlag, FrameType, messageBytesMax } from "./frame.ts";

/** Calls that wait for a reply and streams that are open; one more is refused with ResourceExhausted. Each Wait on a task is one. */
export const pendingCallsMax = 16_384;

/** Bytes written that the peer has not taken; above it a call is refused with ResourceExhausted. */
export const unsentBytesMax = 64 * 1024 * 1024;

const connectTimeoutMsDefault = 5_000;

/** Stream ids are odd u32 and never used twice. */
const streamIdMax = 0xffff_ffff;

/** The longest delay that a Node timer takes; a longer one would fire at once. */
const timerMsMax = 2 ** 31 - 1;

export interface CallOptions {
  /** Rejects with DeadlineExceeded after so many milliseconds, and tells the server the limit. None by default. */
  readonly timeoutMs?: number | undefined;
  /** Rejects with Canceled when aborted; `cause` is the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Keys go out in lower case, as Go's servers look them up. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

/** A call or a stream: what comes for it, and what ends it from this side. */
interface Pending {
  onFrame(frame: Frame): void;
  fail(error: Error): void;
}

export class TtrpcClient {
  /** Resolves when the connection has ended, for whatever reason. Never rejects. */
  readonly closed: Promise<void>;
  readonly #socket: net.Socket;
  readonly #address: string;
  readonly #channel: FrameChannel;
  readonly #pending = new Map<number, Pending>();
  readonly #closeListeners: (() => void)[] = [];
  #nextStreamId = 1;
  #end: TtrpcClosed | undefined;

  /**
   * Connects to a shim's address (see socketPathOfAddress). Rejects with TtrpcClosed whose cause is the system's error, or
   * with TtrpcError DeadlineExceeded after `timeoutMs`, 5,000 by default.
   */
  static async connect(address: string, options: { timeoutMs?: number | undefined } = {}): Promise<TtrpcClient> {
    const timeoutMs = options.timeoutMs ?? connectTimeoutMsDefault;
    const socket = net.connect({ path: socketPathOfAddress(address) });
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        socket.destroy();
        reject(new TtrpcError(StatusCode.DeadlineExceeded, `connect to ${address}: no answer in ${timeoutMs} ms`));
      }, timeoutMs);
      const onError = (cause: Error) => {
        clearTimeout(timer);
        reject(new TtrpcClosed(`connect to ${address}: ${cause.message}`, { cause }));
      };
      socket.once("error", onError);
      socket.once("connect", () => {
        clearTimeout(timer);
        socket.off("error", onError);
        resolve();
      });
    });
    return new TtrpcClient(socket, address);
  }

  /** Takes over a connected socket. `address` only names it in errors. */
  constructor(socket: net.Socket, address: string) {
    this.#socket = socket;
    this.#address = address;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    // A frame without a call is for one that is out of time, aborted or left.
    this.#channel = new FrameChannel(socket, (frame) => this.#pending.get(frame.streamId)?.onFrame(frame));
    socket.on("error", (cause) => {
      this.#failPending(new TtrpcClosed(`ttrpc connection to ${address}: ${cause.message}`, { cause }));
    });
    socket.on("close", () => {
      this.#failPending(new TtrpcClosed(`ttrpc connection to ${address} has ended`));
      resolve();
      for (const listener of this.#closeListeners.splice(0)) listener();
    });
  }

  /**
   * Calls `definition.methods[method]` and returns its reply. Rejects with TtrpcError for a status (the peer's, or this
   * side's when the call is refused, too large, out of time or aborted) and with TtrpcClosed when the connection ends.
   */
  async call<D extends ServiceDefinition, K extends keyof D["methods"] & string>(
    definition: D,
    method: K,
    request: RequestOf<D["methods"][K]>,
    options: CallOptions = {},
  ): Promise<ResponseOf<D["methods"][K]>> {
    const { name, responseType, requestStream, responseStream } = definition.methods[method]!;
    const what = `${definition.fullName}/${name}`;
    if (requestStream || responseStream) throw new TypeError(`${what} is not unary`);
    const message = requestMessage(definition.fullName, definition.methods[method]!, request, options);
    const payload = await new Promise<Buffer>((resolve, reject) => {
      this.#open(what, message, 0, options, (_streamId, onOver) => ({
        onFrame: (frame) => {
          onOver();
          const outcome = outcomeOf(frame);
          if (outcome instanceof TtrpcError) reject(outcome);
          else resolve(outcome);
        },
        fail: (error) => {
          onOver();
          reject(error);
        },
      }));
    });
    try {
      return responseType.decode(payload) as ResponseOf<D["methods"][K]>;
    } catch (cause) {
      throw new TtrpcError(StatusCode.Internal, `${what}: the reply is not a message of its type`, { cause });
    }
  }

  /**
   * Opens a stream of `definition.methods[method]`. Without `request` when the client sends a stream, with the one message
   * when it does not. `options.timeoutMs` bounds the whole stream. Throws as `call` rejects when the call is refused.
   */
  stream<D extends ServiceDefinition, K extends keyof D["methods"] & string>(
    definition: D,
    method: K,
    request: D["methods"][K]["requestStream"] extends true ? undefined : RequestOf<D["methods"][K]>,
    options: CallOptions = {},
  ): ClientStream<RequestOf<D["methods"][K]>, ResponseOf<D["methods"][K]>> {
    const { name, requestType, responseType, requestStream, responseStream } = definition.methods[method]!;
    const what = `${definition.fullName}/${name}`;
    if (!requestStream && !responseStream) throw new TypeError(`${what} is unary`);
    const message = requestMessage(definition.fullName, definition.methods[method]!, request, options);
    const flags = requestStream ? FrameFlag.RemoteOpen : FrameFlag.RemoteClosed;
    const types = { requestType, responseType, requestStream, responseStream };
    return this.#open(what, message, flags, options, (streamId, onOver) => {
      return new ClientStream({ what, streamId, channel: this.#channel, onOver, ...types });
    });
  }

  /** Ends the connection; what still waits is rejected with TtrpcClosed. Calling it again does nothing. */
  close(): void {
    this.#failPending(new TtrpcClosed(`ttrpc connection to ${this.#address} was closed on this side`));
    this.#socket.destroy();
  }

  /** Runs `listener` once when the connection has ended: at once when it already has. */
  onClose(listener: () => void): void {
    if (this.#socket.closed) listener();
    else this.#closeListeners.push(listener);
  }

  /** Sends a request for what `make` makes of the stream's id and of what it calls when it is over. Throws the refusal. */
  #open<P extends Pending>(
    what: string,
    message: Uint8Array,
    flags: number,
    { timeoutMs, signal }: CallOptions,
    make: (streamId: number, onOver: () => void) => P,
  ): P {
    const refusal = this.#refusal(what, message.length, signal);
    if (refusal !== undefined) throw refusal;
    const streamId = this.#nextStreamId;
    this.#nextStreamId += 2;
    let timer: NodeJS.Timeout | undefined;
    const pending = make(streamId, () => {
      this.#pending.delete(streamId);
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    });
    const onAbort = () => pending.fail(canceled(what, signal!));
    this.#pending.set(streamId, pending);
    signal?.addEventListener("abort", onAbort, { once: true });
    if (timeoutMs !== undefined && timeoutMs <= timerMsMax) {
      const error = () => new TtrpcError(StatusCode.DeadlineExceeded, `${what}: no reply in ${timeoutMs} ms`);
      timer = setTimeout(() => pending.fail(error()), timeoutMs);
    }
    this.#channel.send(streamId, FrameType.Request, message, flags);
    return pending;
  }

  #refusal(what: string, messageBytes: number, signal: AbortSignal | undefined): Error | undefined {
    if (this.#end !== undefined) return new TtrpcClosed(`${what}: ${this.#end.message}`, { cause: this.#end });
    if (signal?.aborted) return canceled(what, signal);
    if (this.#nextStreamId > streamIdMax) {
      return new TtrpcError(StatusCode.ResourceExhausted, `${what}: this connection has used up its stream ids`);
    }
    if (messageBytes > messageBytesMax) {
      const text = `${what}: a request of ${messageBytes} bytes is over the limit of ${messageBytesMax}`;
      return new TtrpcError(StatusCode.ResourceExhausted, text);
    }
    if (this.#pending.size >= pendingCallsMax) {
      return new TtrpcError(StatusCode.ResourceExhausted, `${what}: ${pendingCallsMax} calls wait already`);
    }
    if (this.#channel.unsentBytes > unsentBytesMax) {
      return new TtrpcError(StatusCode.ResourceExhausted, `${what}: the peer leaves ${unsentBytesMax} bytes untaken`);
    }
    return undefined;
  }

  #failPending(end: TtrpcClosed): void {
    this.#end ??= end;
    for (const pending of [...this.#pending.values()]) pending.fail(this.#end);
  }
}

function requestMessage(service: string, method: MethodDefinition, request: unknown, options: CallOptions): Uint8Array {
  const payload = request === undefined ? Buffer.alloc(0) : Buffer.from(method.requestType.encode(request).finish());
  return Request.encode({
    service,
    method: method.name,
    payload,
    timeoutNano: options.timeoutMs === undefined ? 0n : BigInt(Math.ceil(options.timeoutMs * 1e6)),
    metadata: Object.entries(options.metadata ?? {}).map(([key, value]) => ({ key: key.toLowerCase(), value })),
  }).finish();
}

/** The payload of a reply, or why there is none. */
function outcomeOf({ type, message, messageBytes }: Frame): Buffer | TtrpcError {
  if (type !== FrameType.Response) {
    return new TtrpcError(StatusCode.Internal, `a frame of type ${type} came in place of a reply`);
  }
  if (message === undefined) {
    const text = `a reply of ${messageBytes} bytes is over the limit of ${messageBytesMax}`;
    return new TtrpcError(StatusCode.ResourceExhausted, text);
  }
  try {
    const { status, payload } = Response.decode(message);
    if (status === undefined || status.code === StatusCode.Ok) return payload;
    return new TtrpcError(status.code, status.message, { details: status.details });
  } catch (cause) {
    return new TtrpcError(StatusCode.Internal, "the reply is not a ttrpc response", { cause });
  }
}

function canceled(what: string, signal: AbortSignal): TtrpcError {
  return new TtrpcError(StatusCode.Canceled, `${what}: canceled`, { cause: signal.reason });
}
