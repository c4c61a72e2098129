/**
 * One accepted connection of a ttrpc server: requests in, each answered by one reply or by a stream.
 *
 * Owns the requests that run on this connection. It takes requests only as fast as the peer takes replies, runs at most
 * activeRequestsMax at once, and aborts the signals of those that run when the connection ends; it never waits for them.
 */
import type * as net from "node:net";
import type { MessageCodec } from "../../wire/definition.ts";
import { Request, Response } from "../../wire/gen/ttrpc/request.ts";
import { type CallStatus, StatusCode, TtrpcClosed, TtrpcError } from "./error.ts";
import { FrameChannel } from "./channel.ts";
import { type Frame, FrameFlag, FrameType, messageBytesMax } from "./frame.ts";
import { Inbox } from "./inbox.ts";

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

/** A method with its handler: what comes in is a message or an iterable of them, and so is what goes out. */
export interface ServedMethod {
  readonly requestType: MessageCodec<unknown>;
  readonly requestStream: boolean;
  readonly responseType: MessageCodec<unknown>;
  readonly responseStream: boolean;
  readonly handler: (request: unknown, context: CallContext) => Promise<unknown> | AsyncIterable<unknown>;
}

/** What a connection needs of its server. */
export interface Dispatch {
  /** The method, or the status to refuse the request with. */
  find(service: string, method: string): ServedMethod | TtrpcError;
  statusOf(error: unknown): CallStatus;
}

/** A request that runs. */
interface ActiveCall {
  readonly controller: AbortController;
  /** What the caller still sends; `undefined` before its method is known and for methods that take one message. */
  inbox: Inbox | undefined;
  /** It has got its last frame; what its handler still gives is dropped. */
  isAnswered: boolean;
}

export class TtrpcConnection {
  readonly #channel: FrameChannel;
  readonly #peer: Peer | undefined;
  readonly #dispatch: Dispatch;
  readonly #active = new Map<number, ActiveCall>();
  /** Calls whose handler has not returned; more than those in #active when some were answered before. */
  #running = 0;
  #lastStreamId = 0;

  constructor(socket: net.Socket, peer: Peer | undefined, dispatch: Dispatch) {
    this.#peer = peer;
    this.#dispatch = dispatch;
    this.#channel = new FrameChannel(socket, (frame) => this.#onFrame(frame));
    // A broken connection is like an ended one: "close" follows and does what there is to do.
    socket.on("error", () => {});
    socket.on("close", () => {
      const error = new TtrpcClosed("the ttrpc connection has ended");
      for (const call of this.#active.values()) abort(call, error);
      this.#active.clear();
    });
  }

  #onFrame(frame: Frame): void {
    // Types to come are to be ignored.
    if (frame.type !== FrameType.Request && frame.type !== FrameType.Data) return;
    if (frame.type === FrameType.Data) {
      this.#onData(frame);
      return;
    }
    const objection = this.#objectionTo(frame);
    if (objection === undefined) void this.#serve(frame);
    else this.#reply(frame.streamId, statusResponse(objection));
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
    if (this.#running >= activeRequestsMax) {
      return new TtrpcError(StatusCode.ResourceExhausted, `${activeRequestsMax} requests run already`);
    }
    return undefined;
  }

  /** Gives a data frame to its stream; a stream that gets one which it cannot take is over. */
  #onData({ streamId, flags, message, messageBytes }: Frame): void {
    const call = this.#active.get(streamId);
    const inbox = call?.inbox;
    if (call === undefined || inbox === undefined) {
      const error = new TtrpcError(StatusCode.InvalidArgument, `stream ${streamId} takes no messages`);
      this.#reply(streamId, statusResponse(error));
    } else if (message === undefined) {
      this.#giveUp(streamId, call, tooLarge("message", messageBytes));
    } else if (inbox.hasEnded && !inbox.isLeft) {
      const error = new TtrpcError(StatusCode.InvalidArgument, `stream ${streamId} was closed by its caller`);
      this.#giveUp(streamId, call, error);
    } else {
      if (!(flags & FrameFlag.NoData)) inbox.push(message);
      if (flags & FrameFlag.RemoteClosed) inbox.end();
    }
  }

  /** Runs one request to its end. Never rejects: whatever goes wrong becomes the status. */
  async #serve({ streamId, flags, message }: Frame): Promise<void> {
    const call: ActiveCall = { controller: new AbortController(), inbox: undefined, isAnswered: false };
    this.#active.set(streamId, call);
    this.#running++;
    let timer: NodeJS.Timeout | undefined;
    try {
      const request = decoded(Request, message!, "ttrpc request");
      const method = this.#dispatch.find(request.service, request.method);
      if (method instanceof TtrpcError) throw method;
      timer = abortAfter(call, request.timeoutNano);
      const context = { metadata: metadataOf(request), peer: this.#peer, signal: call.controller.signal };
      const answer = method.handler(this.#requestOf(streamId, call, method, request, flags), context);
      if (method.responseStream) await this.#sendAll(streamId, call, method, answer as AsyncIterable<unknown>);
      else {
        const payload = Buffer.from(method.responseType.encode(await answer).finish());
        this.#answer(streamId, call, { status: undefined, payload });
      }
    } catch (error) {
      this.#answer(streamId, call, statusResponse(this.#dispatch.statusOf(error)));
    } finally {
      clearTimeout(timer);
      this.#running--;
      void call.inbox?.return();
    }
  }

  /** What the handler is called with. A caller that announces no more closes its stream with the request itself. */
  #requestOf(streamId: number, call: ActiveCall, method: ServedMethod, request: Request, flags: number): unknown {
    if (!method.requestStream) return decoded(method.requestType, request.payload, request.method);
    const inbox = new Inbox(this.#channel, (error) => {
      if (error !== undefined) this.#giveUp(streamId, call, error);
    });
    call.inbox = inbox;
    // Clients that know no streams send their one message with the request.
    if (request.payload.length > 0) inbox.push(request.payload);
    if (!(flags & FrameFlag.RemoteOpen)) inbox.end();
    return decodedAll(inbox, method.requestType, request.method);
  }

  /** Sends a stream's messages as fast as the peer takes them, then its end. */
  async #sendAll(
    streamId: number,
    call: ActiveCall,
    method: ServedMethod,
    replies: AsyncIterable<unknown>,
  ): Promise<void> {
    for await (const reply of replies) {
      if (call.isAnswered || call.controller.signal.aborted) break;
      const message = method.responseType.encode(reply).finish();
      if (message.length > messageBytesMax) throw tooLarge("message", message.length);
      this.#channel.send(streamId, FrameType.Data, message);
      await this.#channel.room();
    }
    call.controller.signal.throwIfAborted();
    if (!this.#finish(streamId, call)) return;
    this.#channel.send(streamId, FrameType.Data, Buffer.alloc(0), FrameFlag.RemoteClosed | FrameFlag.NoData);
  }

  #giveUp(streamId: number, call: ActiveCall, error: Error): void {
    this.#answer(streamId, call, statusResponse(this.#dispatch.statusOf(error)));
    abort(call, error);
  }

  #answer(streamId: number, call: ActiveCall, response: Response): void {
    if (this.#finish(streamId, call)) this.#reply(streamId, response);
  }

  /** True the first time. */
  #finish(streamId: number, call: ActiveCall): boolean {
    if (call.isAnswered) return false;
    call.isAnswered = true;
    this.#active.delete(streamId);
    return true;
  }

  #reply(streamId: number, response: Response): void {
    const message = Response.encode(response).finish();
    if (message.length > messageBytesMax) {
      this.#reply(streamId, statusResponse(tooLarge("reply", message.length)));
      return;
    }
    this.#channel.send(streamId, FrameType.Response, message);
    if (this.#channel.unsentBytes > unsentReplyBytesMax) this.#channel.holdUntilSent();
  }
}

/** Ends a call from outside: its handler's signal aborts, and what it reads fails. */
function abort(call: ActiveCall, error: Error): void {
  call.controller.abort(error);
  call.inbox?.fail(error);
}

function statusResponse({ code, message, details }: CallStatus): Response {
  return { status: { code, message, details: [...details] }, payload: Buffer.alloc(0) };
}

async function* decodedAll(
  inbox: Inbox,
  codec: MessageCodec<unknown>,
  what: string,
): AsyncGenerator<unknown, void, void> {
  for await (const message of inbox) yield decoded(codec, message, what);
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

function abortAfter(call: ActiveCall, timeoutNano: bigint): NodeJS.Timeout | undefined {
  const timeoutMs = Number(timeoutNano / 1_000_000n);
  if (timeoutNano === 0n || timeoutMs > timerMsMax) return undefined;
  const error = new TtrpcError(StatusCode.DeadlineExceeded, "the caller's time is up");
  return setTimeout(() => abort(call, error), timeoutMs);
}
