/**
 * A streaming call as its caller sees it: messages out, messages in, each until its side is closed.
 *
 * Owns the state of one stream. The protocol cannot take a call back: one that its caller leaves, aborts or that is out of
 * time is closed on this side, and what the server still sends is dropped.
 */
import type { MessageCodec } from "../../wire/definition.ts";
import { Response } from "../../wire/gen/ttrpc/request.ts";
import type { FrameChannel } from "./channel.ts";
import { StatusCode, TtrpcError } from "./error.ts";
import { type Frame, FrameFlag, FrameType, messageBytesMax } from "./frame.ts";
import { Inbox } from "./inbox.ts";

/** What a stream is made of. */
export interface StreamOrigin {
  readonly what: string;
  readonly streamId: number;
  readonly channel: FrameChannel;
  readonly requestType: MessageCodec<unknown>;
  readonly responseType: MessageCodec<unknown>;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  /** Called once, when no more frames can be meant for it. */
  readonly onOver: () => void;
}

/** Iterate it for what comes, once; leaving the loop early gives the call up. */
export class ClientStream<Req, Res> implements AsyncIterable<Res> {
  readonly #origin: StreamOrigin;
  readonly #inbox: Inbox;
  #isSendingOver: boolean;
  #error: Error | undefined;
  #isOver = false;

  constructor(origin: StreamOrigin) {
    this.#origin = origin;
    this.#inbox = new Inbox(origin.channel, (error) => {
      this.#error ??= error;
      this.#giveUp();
    });
    this.#isSendingOver = !origin.requestStream;
  }

  /**
   * Sends a message; resolves when there is room for the next, so that awaiting it keeps to the server's pace. Rejects with
   * what the stream failed of, or with TtrpcError: FailedPrecondition when this side is closed, ResourceExhausted when the
   * message is too large.
   */
  async send(message: Req): Promise<void> {
    if (this.#error !== undefined) throw this.#error;
    const { what, streamId, channel, requestType } = this.#origin;
    if (this.#isSendingOver || this.#isOver) {
      throw new TtrpcError(StatusCode.FailedPrecondition, `${what}: the stream takes no more messages`);
    }
    const bytes = requestType.encode(message).finish();
    if (bytes.length > messageBytesMax) {
      const text = `${what}: a message of ${bytes.length} bytes is over the limit of ${messageBytesMax}`;
      throw new TtrpcError(StatusCode.ResourceExhausted, text);
    }
    channel.send(streamId, FrameType.Data, bytes);
    await channel.room();
  }

  /** Sends no more; the server learns of it. Calling it again does nothing. */
  closeSend(): void {
    if (this.#isSendingOver) return;
    this.#isSendingOver = true;
    const { channel, streamId } = this.#origin;
    if (!this.#isOver)
      channel.send(streamId, FrameType.Data, Buffer.alloc(0), FrameFlag.RemoteClosed | FrameFlag.NoData);
  }

  /** Closes this side and resolves with the one message of a server that sends no stream; rejects as iterating does. */
  async response(): Promise<Res> {
    this.closeSend();
    for await (const message of this) return message;
    throw new TtrpcError(StatusCode.Internal, `${this.#origin.what}: the stream ended without a reply`);
  }

  /** Rejects with TtrpcError for a status and with TtrpcClosed when the connection ends. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Res, void, void> {
    const { responseType, what } = this.#origin;
    for await (const bytes of this.#inbox) {
      let message: Res;
      try {
        message = responseType.decode(bytes) as Res;
      } catch (cause) {
        throw new TtrpcError(StatusCode.Internal, `${what}: what came is not a message of its type`, { cause });
      }
      yield message;
    }
  }

  /** The client hands over each frame of this stream. */
  onFrame({ type, flags, message, messageBytes }: Frame): void {
    if (message === undefined) {
      const text = `a message of ${messageBytes} bytes is over the limit of ${messageBytesMax}`;
      this.fail(new TtrpcError(StatusCode.ResourceExhausted, text));
    } else if (type === FrameType.Response) this.#onResponse(message);
    else if (type !== FrameType.Data || !this.#origin.responseStream) {
      this.fail(new TtrpcError(StatusCode.Internal, `a frame of type ${type} came in place of a reply`));
    } else {
      if (!(flags & FrameFlag.NoData)) this.#inbox.push(message);
      if (flags & FrameFlag.RemoteClosed) this.#end();
    }
  }

  /** Ends the stream with an error on both sides of this end. */
  fail(error: Error): void {
    this.#error ??= error;
    this.#inbox.fail(error);
    this.#giveUp();
  }

  /** A status other than ok is an error; else it is the last message. Nothing more may be sent: Go's server (1.2.7) would panic. */
  #onResponse(bytes: Buffer): void {
    this.#isSendingOver = true;
    try {
      const { status, payload } = Response.decode(bytes);
      if (status !== undefined && status.code !== StatusCode.Ok) {
        this.fail(new TtrpcError(status.code, status.message, { details: status.details }));
        return;
      }
      this.#inbox.push(payload);
      this.#end();
    } catch (cause) {
      this.fail(new TtrpcError(StatusCode.Internal, "the reply is not a ttrpc response", { cause }));
    }
  }

  #giveUp(): void {
    this.closeSend();
    this.#end();
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#inbox.end();
    this.#origin.onOver();
  }
}
