/**
 * One accepted connection of a ttrpc server: requests in, one reply each.
 *
 * Owns the requests that run on this connection. It takes requests only as fast as the peer takes replies, runs at most
 * activeRequestsMax at once, and aborts the signals of those that run when the connection ends; it never waits for them.
 */
import type * as net from "node:net";
import type { MessageCodec } from "../../wire/definition.ts";
import { Request, Response } from "../../wire/gen/ttrpc/request.ts";
import { type CallStatus, StatusCode, TtrpcClosed, TtrpcError } from "./error.ts";
import { encodeFrame, type Frame, FrameReader, FrameType, messageBytesMax } from "./frame.ts";

/** Requests that run at once on one connection; one more is answered with ResourceExhausted. */
export const activeRequestsMax = 16_384;

/** Bytes of replies that the peer has not taken; above it no more requests are read until it has. */
export const unsentReplyBytesMax = 16 * 1024 * 1024;

const timerMsMax = 2 ** 31 - 1;

/** The process at the other end, as the kernel tells it. */
export interface Peer {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

export interface CallContext {
  /** Keys as they came; a key may come with several values. */
  readonly metadata: ReadonlyMap<string, readonly string[]>;
  /** `undefined` when the server was given no way to ask the kernel. */
  readonly peer: Peer | undefined;
  /** Aborts when the connection ends (reason TtrpcClosed) or the caller's time is up (reason TtrpcError). */
  readonly signal: AbortSignal;
}

export interface UnaryMethod {
  readonly requestType: MessageCodec<unknown>;
  readonly responseType: MessageCodec<unknown>;
  readonly handler: (request: unknown, context: CallContext) => Promise<unknown>;
}

/** What a connection needs of its server. */
export interface Dispatch {
  /** The method, or the status to refuse the request with. */
  find(service: string, method: string): UnaryMethod | TtrpcError;
  statusOf(error: unknown): CallStatus;
}

export class TtrpcConnection {
  readonly #socket: net.Socket;
  readonly #peer: Peer | undefined;
  readonly #dispatch: Dispatch;
  readonly #reader = new FrameReader();
  readonly #active = new Set<AbortController>();
  #lastStreamId = 0;

  constructor(socket: net.Socket, peer: Peer | undefined, dispatch: Dispatch) {
    this.#socket = socket;
    this.#peer = peer;
    this.#dispatch = dispatch;
    socket.on("data", (chunk: Buffer) => {
      for (const frame of this.#reader.push(chunk)) this.#onFrame(frame);
    });
    // The caller has left; as containerd's servers do, nothing more is sent.
    socket.on("end", () => socket.destroy());
    socket.on("drain", () => socket.resume());
    // A broken connection is like an ended one: "close" follows and does what there is to do.
    socket.on("error", () => {});
    socket.on("close", () => {
      for (const controller of this.#active) controller.abort(new TtrpcClosed("the ttrpc connection has ended"));
    });
  }

  #onFrame(frame: Frame): void {
    // Data frames belong to streaming calls, which nothing here offers; types to come are to be ignored.
    if (frame.type !== FrameType.Request) return;
    const objection = this.#objectionTo(frame);
    if (objection !== undefined) this.#replyStatus(frame.streamId, objection);
    else void this.#serve(frame.streamId, frame.message!);
  }

  /** Why a request is refused unread. It moves the mark below which stream ids are used up. */
  #objectionTo({ streamId, message, messageBytes }: Frame): TtrpcError | undefined {
    if (message === undefined) return tooLarge("request", messageBytes);
    if (streamId % 2 !== 1) return new TtrpcError(StatusCode.InvalidArgument, `stream id ${streamId} is not odd`);
    if (streamId <= this.#lastStreamId) {
      const text = `stream id ${streamId} is not above the last one, ${this.#lastStreamId}`;
      return new TtrpcError(StatusCode.InvalidArgument, text);
    }
    this.#lastStreamId = streamId;
    if (this.#active.size >= activeRequestsMax) {
      return new TtrpcError(StatusCode.ResourceExhausted, `${activeRequestsMax} requests run already`);
    }
    return undefined;
  }

  /** Runs one request to its reply. Never rejects: whatever goes wrong becomes the status. */
  async #serve(streamId: number, message: Buffer): Promise<void> {
    const controller = new AbortController();
    this.#active.add(controller);
    let timer: NodeJS.Timeout | undefined;
    try {
      const request = decoded(Request, message, "ttrpc request");
      const method = this.#dispatch.find(request.service, request.method);
      if (method instanceof TtrpcError) throw method;
      timer = abortAfter(controller, request.timeoutNano);
      const context = { metadata: metadataOf(request), peer: this.#peer, signal: controller.signal };
      const reply = await method.handler(decoded(method.requestType, request.payload, request.method), context);
      const payload = Buffer.from(method.responseType.encode(reply).finish());
      this.#reply(streamId, { status: undefined, payload });
    } catch (error) {
      this.#replyStatus(streamId, this.#dispatch.statusOf(error));
    } finally {
      clearTimeout(timer);
      this.#active.delete(controller);
    }
  }

  #replyStatus(streamId: number, { code, message, details }: CallStatus): void {
    this.#reply(streamId, { status: { code, message, details: [...details] }, payload: Buffer.alloc(0) });
  }

  #reply(streamId: number, response: Response): void {
    if (!this.#socket.writable) return;
    const message = Response.encode(response).finish();
    if (message.length > messageBytesMax) {
      this.#replyStatus(streamId, tooLarge("reply", message.length));
      return;
    }
    this.#socket.write(encodeFrame(streamId, FrameType.Response, message));
    if (this.#socket.writableLength > unsentReplyBytesMax) this.#socket.pause();
  }
}

function tooLarge(what: string, bytes: number): TtrpcError {
  const text = `a ${what} of ${bytes} bytes is over the limit of ${messageBytesMax}`;
  return new TtrpcError(StatusCode.ResourceExhausted, text);
}

function decoded<T>(codec: MessageCodec<T>, bytes: Uint8Array, what: string): T {
  try {
    return codec.decode(bytes);
  } catch (cause) {
    throw new TtrpcError(StatusCode.InvalidArgument, `${what}: the message does not decode`, { cause });
  }
}

function metadataOf(request: Request): Map<string, string[]> {
  const metadata = new Map<string, string[]>();
  for (const { key, value } of request.metadata) {
    const values = metadata.get(key);
    if (values === undefined) metadata.set(key, [value]);
    else values.push(value);
  }
  return metadata;
}

function abortAfter(controller: AbortController, timeoutNano: bigint): NodeJS.Timeout | undefined {
  const timeoutMs = Number(timeoutNano / 1_000_000n);
  if (timeoutNano === 0n || timeoutMs > timerMsMax) return undefined;
  const error = new TtrpcError(StatusCode.DeadlineExceeded, "the caller's time is up");
  return setTimeout(() => controller.abort(error), timeoutMs);
}
