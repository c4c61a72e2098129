/**
 * Frames of the ttrpc protocol: a header of 10 bytes (length and stream id as big-endian u32, type and flags as u8), then
 * the message. Source: PROTOCOL.md of containerd/ttrpc.
 *
 * Owns cutting a byte stream into frames within a bound. What a frame means, and what to do about a bad one, is for the
 * client and the server.
 */

export const messageBytesMax = 4 * 1024 * 1024;

const headerBytes = 10;

export const FrameType = { Request: 1, Response: 2, Data: 3 } as const;

/** `NoData` tells a data frame without a message from one whose message is empty. Both directions count from the receiver. */
export const FrameFlag = { RemoteClosed: 0x01, RemoteOpen: 0x02, NoData: 0x04 } as const;

export interface Frame {
  readonly streamId: number;
  /** One of FrameType, or a number that a later version of the protocol gives a meaning. */
  readonly type: number;
  /** A sum of FrameFlags; others are to be ignored. */
  readonly flags: number;
  /** A view of the bytes that arrived; `undefined` when the message was longer than messageBytesMax and is skipped. */
  readonly message: Buffer | undefined;
  /** The length that the header gave. */
  readonly messageBytes: number;
}

/** One frame as bytes. The message is at most messageBytesMax long: the caller has looked. */
export function encodeFrame(streamId: number, type: number, message: Uint8Array, flags = 0): Buffer {
  const frame = Buffer.allocUnsafe(headerBytes + message.length);
  frame.writeUInt32BE(message.length, 0);
  frame.writeUInt32BE(streamId, 4);
  frame.writeUInt8(type, 8);
  frame.writeUInt8(flags, 9);
  frame.set(message, headerBytes);
  return frame;
}

/** Cuts chunks as they come into frames. Holds less than one frame of messageBytesMax plus the newest chunk. */
export class FrameReader {
  #chunks: Buffer[] = [];
  #bytes = 0;
  #header: { length: number; streamId: number; type: number; flags: number } | undefined;
  #bytesToSkip = 0;

  /** The frames that `chunk` completes, in order. An oversized one is told as soon as its header is read. */
  *push(chunk: Buffer): Generator<Frame, void, void> {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    for (;;) {
      const skipped = Math.min(this.#bytesToSkip, this.#bytes);
      if (skipped > 0) {
        this.#take(skipped);
        this.#bytesToSkip -= skipped;
      }
      if (this.#header === undefined) {
        if (this.#bytes < headerBytes) return;
        const bytes = this.#take(headerBytes);
        const header = {
          length: bytes.readUInt32BE(0),
          streamId: bytes.readUInt32BE(4),
          type: bytes.readUInt8(8),
          flags: bytes.readUInt8(9),
        };
        if (header.length > messageBytesMax) {
          this.#bytesToSkip = header.length;
          const { streamId, type, flags } = header;
          yield { streamId, type, flags, message: undefined, messageBytes: header.length };
          continue;
        }
        this.#header = header;
      }
      const { length, streamId, type, flags } = this.#header;
      if (this.#bytes < length) return;
      this.#header = undefined;
      yield { streamId, type, flags, message: this.#take(length), messageBytes: length };
    }
  }

  /** Removes and returns the first `length` bytes; there are as many. Joins chunks only when a frame spans them. */
  #take(length: number): Buffer {
    if (this.#chunks.length > 1 && this.#chunks[0]!.length < length) this.#chunks = [Buffer.concat(this.#chunks)];
    const first = this.#chunks[0] ?? Buffer.alloc(0);
    this.#bytes -= length;
    if (first.length > length) this.#chunks[0] = first.subarray(length);
    else this.#chunks.shift();
    return first.subarray(0, length);
  }
}
