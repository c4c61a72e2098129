import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { encodeFrame, type Frame, FrameReader, messageBytesMax } from "../../../src/shim/ttrpc/frame.ts";

function read(reader: FrameReader, chunk: Uint8Array): Frame[] {
  return [...reader.push(Buffer.from(chunk))];
}

test("a frame is header and message when encoded", () => {
  const frame = encodeFrame(0x0102_0305, 2, Buffer.from("ab"));
  assert.equal(frame.toString("hex"), `00000002010203050200${Buffer.from("ab").toString("hex")}`);
});

test("frames come out as they went in when the stream is cut anywhere", () => {
  const frames = fc.array(
    fc.record({
      streamId: fc.integer({ min: 0, max: 0xffff_ffff }),
      type: fc.integer({ min: 0, max: 255 }),
      flags: fc.integer({ min: 0, max: 255 }),
      message: fc.uint8Array({ maxLength: 40 }),
    }),
    { maxLength: 8 },
  );
  fc.assert(
    fc.property(frames, fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }), (sent, cuts) => {
      const stream = Buffer.concat(
        sent.map((frame) => encodeFrame(frame.streamId, frame.type, frame.message, frame.flags)),
      );
      const reader = new FrameReader();
      const received: Frame[] = [];
      for (let offset = 0, cut = 0; offset < stream.length; cut++) {
        const length = cuts[cut % cuts.length]!;
        received.push(...read(reader, stream.subarray(offset, offset + length)));
        offset += length;
      }
      assert.deepEqual(
        received,
        sent.map(({ streamId, type, flags, message }) => ({
          streamId,
          type,
          flags,
          message: Buffer.from(message),
          messageBytes: message.length,
        })),
      );
    }),
  );
});

test("a message is read whole when it is as long as allowed", () => {
  const reader = new FrameReader();
  const message = Buffer.alloc(messageBytesMax, 7);
  const [frame] = read(reader, encodeFrame(1, 1, message));
  assert.ok(frame?.message?.equals(message));
});

test("an oversized message is told and skipped, and the next frame is read", () => {
  const reader = new FrameReader();
  const tooLong = messageBytesMax + 1;
  const header = encodeFrame(3, 1, Buffer.alloc(0));
  header.writeUInt32BE(tooLong, 0);
  assert.deepEqual(read(reader, header), [
    { streamId: 3, type: 1, flags: 0, message: undefined, messageBytes: tooLong },
  ]);
  assert.deepEqual(read(reader, Buffer.alloc(tooLong - 1)), []);
  const rest = Buffer.concat([Buffer.alloc(1), encodeFrame(5, 1, Buffer.from("x"))]);
  assert.deepEqual(read(reader, rest), [
    { streamId: 5, type: 1, flags: 0, message: Buffer.from("x"), messageBytes: 1 },
  ]);
});
