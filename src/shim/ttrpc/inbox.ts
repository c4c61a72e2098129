/**
 * The messages of one stream that have come and are not read yet, at either end.
 *
 * Owns their order and their bound. The protocol has no flow control, so a reader that lags holds up its whole connection:
 * a full inbox stops it from being read, for a second at most; then that one stream fails and the others go on, as in Go's
 * implementation (containerd/ttrpc: stream.go, receive).
 */
import { StatusCode, TtrpcError } from "./error.ts";

/** Unread messages, and bytes of them, of one stream; a few more may have come in the same read of the socket. */
export const unreadMessagesMax = 256;
export const unreadBytesMax = 16 * 1024 * 1024;

/** How long a full inbox holds up its connection. */
const fullMsMax = 1_000;

/** What keeps a connection from being read; it is read while the set is empty. */
export interface ReadHolds {
  add(hold: object): void;
  delete(hold: object): void;
}

export class Inbox implements AsyncIterableIterator<Buffer> {
  readonly #holds: ReadHolds;
  readonly #onGivenUp: (error: Error | undefined) => void;
  #unread: Buffer[] = [];
  #unreadBytes = 0;
  #end: { readonly error: Error | undefined } | undefined;
  #reader: PromiseWithResolvers<IteratorResult<Buffer, undefined>> | undefined;
  #fullSince: NodeJS.Timeout | undefined;
  #isLeft = false;

  /** `onGivenUp` is called when the reader stops before the end, and with an error when it lags too far behind. */
  constructor(holds: ReadHolds, onGivenUp: (error: Error | undefined) => void) {
    this.#holds = holds;
    this.#onGivenUp = onGivenUp;
  }

  /** Nothing more is taken: it was ended, or failed. */
  get hasEnded(): boolean {
    return this.#end !== undefined;
  }

  /** Its reader stopped before the end; what comes is dropped. */
  get isLeft(): boolean {
    return this.#isLeft;
  }

  push(message: Buffer): void {
    if (this.#end !== undefined) return;
    if (this.#reader !== undefined) {
      this.#reader.resolve({ done: false, value: message });
      this.#reader = undefined;
      return;
    }
    this.#unread.push(message);
    this.#unreadBytes += message.length;
    if (this.#fullSince === undefined && this.#isFull()) {
      this.#holds.add(this);
      this.#fullSince = setTimeout(() => {
        const text = `a reader left ${this.#unread.length} messages unread for ${fullMsMax} ms`;
        const error = new TtrpcError(StatusCode.ResourceExhausted, text);
        this.fail(error);
        this.#onGivenUp(error);
      }, fullMsMax);
    }
  }

  /** No more will come: the reader gets what is there, then the end. */
  end(): void {
    this.#finish({ error: undefined });
  }

  /** The reader gets the error next; what is unread is dropped. After the end it does nothing. */
  fail(error: Error): void {
    if (this.#end !== undefined) return;
    this.#drop();
    this.#finish({ error });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** One at a time. Rejects with what the inbox failed of, once. */
  next(): Promise<IteratorResult<Buffer, undefined>> {
    const message = this.#unread.shift();
    if (message !== undefined) {
      this.#unreadBytes -= message.length;
      if (!this.#isFull()) this.#release();
      return Promise.resolve({ done: false, value: message });
    }
    if (this.#end !== undefined) {
      const { error } = this.#end;
      this.#end = { error: undefined };
      return error === undefined ? Promise.resolve({ done: true, value: undefined }) : Promise.reject(error);
    }
    this.#reader = Promise.withResolvers();
    return this.#reader.promise;
  }

  /** The reader has left. */
  return(): Promise<IteratorResult<Buffer, undefined>> {
    this.#drop();
    if (this.#end === undefined) {
      this.#isLeft = true;
      this.end();
      this.#onGivenUp(undefined);
    }
    return Promise.resolve({ done: true, value: undefined });
  }

  #finish(end: { readonly error: Error | undefined }): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    // What is unread grows no more, so nothing is held up for it.
    this.#release();
    const reader = this.#reader;
    if (reader === undefined) return;
    this.#reader = undefined;
    this.#end = { error: undefined };
    if (end.error === undefined) reader.resolve({ done: true, value: undefined });
    else reader.reject(end.error);
  }

  #isFull(): boolean {
    return this.#unread.length >= unreadMessagesMax || this.#unreadBytes >= unreadBytesMax;
  }

  #release(): void {
    clearTimeout(this.#fullSince);
    this.#fullSince = undefined;
    this.#holds.delete(this);
  }

  #drop(): void {
    this.#unread = [];
    this.#unreadBytes = 0;
    this.#release();
  }
}
