/**
 * A ttrpc client: unary calls over one connection.
 *
 * Owns the connection and the calls that wait on it: each gets its reply, a status, or TtrpcClosed when the connection
 * ends; none is ever left waiting. It never connects again and never repeats a call: only the caller knows whether that is
 * safe. The protocol has no way to take a call back, so one that is out of time or aborted may still be carried out, and
 * its late reply is dropped.
 */
import * as net from "node:net";
import type { RequestOf, ResponseOf, ServiceDefinition } from "../../wire/definition.ts";
import { Request, Response } from "../../wire/gen/ttrpc/request.ts";
import { socketPathOfAddress } from "./address.ts";
import { StatusCode, TtrpcClosed, TtrpcError } from "./error.ts";
import { encodeFrame, type Frame, FrameReader, FrameType, messageBytesMax } from "./frame.ts";

/** Calls that wait for a reply; one more is refused with ResourceExhausted. Each Wait on a task is one. */
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

interface PendingCall {
  readonly resolve: (payload: Buffer) => void;
  readonly reject: (error: Error) => void;
}

export class TtrpcClient {
  /** Resolves when the connection has ended, for whatever reason. Never rejects. */
  readonly closed: Promise<void>;
  readonly #socket: net.Socket;
  readonly #address: string;
  readonly #reader = new FrameReader();
  readonly #pending = new Map<number, PendingCall>();
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
    socket.on("data", (chunk: Buffer) => {
      for (const frame of this.#reader.push(chunk)) this.#onFrame(frame);
    });
    // No reply can come any more; what is not sent yet need not be.
    socket.on("end", () => socket.destroy());
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
    const { name, requestType, responseType } = definition.methods[method]!;
    const message = Request.encode({
      service: definition.fullName,
      method: name,
      payload: Buffer.from(requestType.encode(request).finish()),
      timeoutNano: options.timeoutMs === undefined ? 0n : BigInt(Math.ceil(options.timeoutMs * 1e6)),
      metadata: Object.entries(options.metadata ?? {}).map(([key, value]) => ({ key: key.toLowerCase(), value })),
    }).finish();
    const what = `${definition.fullName}/${name}`;
    const payload = await this.#send(what, message, options);
    try {
      return responseType.decode(payload) as ResponseOf<D["methods"][K]>;
    } catch (cause) {
      throw new TtrpcError(StatusCode.Internal, `${what}: the reply is not a message of its type`, { cause });
    }
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

  #send(what: string, message: Uint8Array, { timeoutMs, signal }: CallOptions): Promise<Buffer> {
    const refusal = this.#refusal(what, message.length, signal);
    if (refusal !== undefined) return Promise.reject(refusal);
    const streamId = this.#nextStreamId;
    this.#nextStreamId += 2;
    return new Promise<Buffer>((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      const settled = () => {
        this.#pending.delete(streamId);
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
      };
      const call: PendingCall = {
        resolve: (payload) => {
          settled();
          resolve(payload);
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      };
      const onAbort = () => call.reject(canceled(what, signal!));
      this.#pending.set(streamId, call);
      signal?.addEventListener("abort", onAbort, { once: true });
      if (timeoutMs !== undefined && timeoutMs <= timerMsMax) {
        const error = () => new TtrpcError(StatusCode.DeadlineExceeded, `${what}: no reply in ${timeoutMs} ms`);
        timer = setTimeout(() => call.reject(error()), timeoutMs);
      }
      this.#socket.write(encodeFrame(streamId, FrameType.Request, message));
    });
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
    if (this.#socket.writableLength > unsentBytesMax) {
      return new TtrpcError(StatusCode.ResourceExhausted, `${what}: the peer leaves ${unsentBytesMax} bytes untaken`);
    }
    return undefined;
  }

  #onFrame(frame: Frame): void {
    // Without a call it is the reply to one that is out of time or aborted.
    const call = this.#pending.get(frame.streamId);
    if (call === undefined) return;
    const outcome = outcomeOf(frame);
    if (outcome instanceof TtrpcError) call.reject(outcome);
    else call.resolve(outcome);
  }

  #failPending(end: TtrpcClosed): void {
    this.#end ??= end;
    for (const call of this.#pending.values()) call.reject(this.#end);
  }
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
