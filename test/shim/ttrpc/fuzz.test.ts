/** Whatever bytes and frames come, in whatever order: no side hangs or throws, errors are of the two classes, and nothing stays behind. */
import assert from "node:assert/strict";
import { once } from "node:events";
import * as net from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { encodeFrame, FrameReader, messageBytesMax } from "../../../src/shim/ttrpc/frame.ts";
import { TtrpcClient, TtrpcClosed, TtrpcError, TtrpcServer } from "../../../src/shim/ttrpc/mod.ts";
import { Request, Response } from "../../../src/wire/gen/ttrpc/request.ts";
import { temporaryDirectory } from "../../harness/temporary.ts";
import { handlers, Streaming } from "./streaming-service.ts";

/** A valid request of some method, with an arbitrary payload. */
const request = fc
  .record({
    method: fc.constantFrom(...Object.values(Streaming.methods).map(({ name }) => name), "None"),
    payload: fc.uint8Array({ maxLength: 6 }),
    timeoutNano: fc.constantFrom(0n, 1n, 5_000_000n, -1n),
  })
  .map(({ method, payload, timeoutNano }) => {
    const message = { service: Streaming.fullName, method, payload: Buffer.from(payload), timeoutNano, metadata: [] };
    return Request.encode(message).finish();
  });

const response = fc
  .record({ payload: fc.uint8Array({ maxLength: 6 }), code: fc.constantFrom(undefined, 0, 5, 99) })
  .map(({ payload, code }) => {
    const status = code === undefined ? undefined : { code, message: "m", details: [] };
    return Response.encode({ status, payload: Buffer.from(payload) }).finish();
  });

/** Well-formed frames that may make no sense: of few streams, so that they meet. */
const frames = fc.array(
  fc
    .record({
      streamId: fc.oneof(fc.integer({ min: 0, max: 9 }), fc.constantFrom(0x7fff_ffff)),
      type: fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 1, max: 3 }) }, { weight: 1, arbitrary: fc.nat(255) }),
      flags: fc.integer({ min: 0, max: 15 }),
      message: fc.oneof(request, response, fc.uint8Array({ maxLength: 12 })),
    })
    .map(({ streamId, type, flags, message }) => encodeFrame(streamId, type, message, flags)),
  { maxLength: 40 },
);

const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => [Buffer.from(array)]);

test("a frame reader takes any bytes, and gives only what they hold", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 100 })), (chunks) => {
      const reader = new FrameReader();
      let given = 0;
      for (const chunk of chunks) {
        for (const { message, messageBytes } of reader.push(Buffer.from(chunk))) {
          assert.ok(message === undefined ? messageBytes > messageBytesMax : message.length === messageBytes);
          given += 10 + (message?.length ?? 0);
        }
      }
      assert.ok(given <= chunks.reduce((sum, { length }) => sum + length, 0));
    }),
  );
});

test("a server answers a good request after any frames, and its handlers end with the connection", {
  timeout: 60_000,
}, async (t) => {
  const path = join(await temporaryDirectory(t), "s");
  let running = 0;
  const idle = new EventTarget();
  const left = () => {
    running--;
    idle.dispatchEvent(new Event("left"));
  };
  const server = new TtrpcServer();
  server.register(Streaming, {
    ...handlers,
    sumStream: async (requests, context) => {
      running++;
      return handlers.sumStream!(requests, context).finally(left);
    },
    async *echoStream(requests, context) {
      running++;
      try {
        yield* handlers.echoStream!(requests, context);
      } finally {
        left();
      }
    },
    // A division into many parts would be a long answer, not a wrong one.
    async *divideStream() {},
  });
  await server.listen(path);
  t.after(() => server.close());
  const good = Request.encode({
    ...{ service: Streaming.fullName, method: "Echo", payload: Buffer.alloc(0), timeoutNano: 0n, metadata: [] },
  }).finish();
  await fc.assert(
    fc.asyncProperty(frames, async (sent) => {
      const socket = net.connect({ path });
      socket.write(Buffer.concat([...sent, encodeFrame(0xffff_ffff, 1, good)]));
      const reader = new FrameReader();
      search: for await (const chunk of socket) {
        for (const { streamId } of reader.push(chunk)) if (streamId === 0xffff_ffff) break search;
      }
      socket.destroy();
      while (running > 0) await once(idle, "left");
    }),
    { numRuns: 200 },
  );
});

test("a server outlives any bytes", { timeout: 60_000 }, async (t) => {
  const path = join(await temporaryDirectory(t), "s");
  const server = new TtrpcServer();
  server.register(Streaming, handlers);
  await server.listen(path);
  t.after(() => server.close());
  await fc.assert(
    fc.asyncProperty(bytes, async (sent) => {
      const socket = net.connect({ path });
      socket.resume();
      socket.end(Buffer.concat(sent));
      await once(socket, "close");
    }),
    { numRuns: 200 },
  );
  const client = await TtrpcClient.connect(`unix://${path}`);
  assert.deepEqual(await client.call(Streaming, "echo", { seq: 1, msg: "" }), { seq: 2, msg: "" });
  client.close();
});

test("a client's calls end, each with an answer or an error of its class, whatever the server sends", {
  timeout: 60_000,
}, async (t) => {
  const path = join(await temporaryDirectory(t), "s");
  let answer: readonly Buffer[] = [];
  const listener = net.createServer((socket) => {
    socket.on("error", () => {});
    socket.resume();
    socket.end(Buffer.concat(answer));
  });
  await once(listener.listen(path), "listening");
  t.after(() => listener.close());
  await fc.assert(
    fc.asyncProperty(fc.oneof(frames, bytes), async (sent) => {
      answer = sent;
      const client = await TtrpcClient.connect(`unix://${path}`);
      const attempts = [
        () => client.call(Streaming, "echo", { seq: 1, msg: "" }),
        () => Array.fromAsync(client.stream(Streaming, "echoStream", undefined)),
        () => client.stream(Streaming, "sumStream", undefined).response(),
        () => Array.fromAsync(client.stream(Streaming, "divideStream", { sum: 1, num: 1 })),
      ];
      const outcomes = await Promise.allSettled(attempts.map(async (attempt) => attempt()));
      for (const outcome of outcomes) {
        if (outcome.status === "fulfilled") continue;
        const { reason } = outcome;
        assert.ok(reason instanceof TtrpcError || reason instanceof TtrpcClosed, String(reason?.stack));
      }
      await client.closed;
    }),
    { numRuns: 200 },
  );
});
