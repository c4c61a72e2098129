import assert from "node:assert/strict";
import { once } from "node:events";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { messageBytesMax } from "../../../src/shim/ttrpc/frame.ts";
import {
  type CallContext,
  StatusCode,
  TtrpcClient,
  TtrpcClosed,
  type TtrpcError,
  type TtrpcHandlers,
  TtrpcServer,
} from "../../../src/shim/ttrpc/mod.ts";
import { temporaryDirectory } from "../../harness/temporary.ts";
import { converse } from "./conversation.ts";
import { handlers, Streaming } from "./streaming-service.ts";

type Handlers = TtrpcHandlers<typeof Streaming>;

/** A server with the service, some of its methods as given, and a client of it; both gone after the test. */
async function connected(t: TestContext, some: Handlers = {}): Promise<{ client: TtrpcClient; server: TtrpcServer }> {
  const path = join(await temporaryDirectory(t), "s");
  const server = new TtrpcServer();
  server.register(Streaming, { ...handlers, ...some });
  await server.listen(path);
  const client = await TtrpcClient.connect(`unix://${path}`);
  t.after(() => client.close());
  t.after(() => server.close());
  return { client, server };
}

const blank = { seq: 0, msg: "" };
const mebibyte = { seq: 0, msg: "x".repeat(1024 * 1024) };

test("calls of every form get their answers, many at once", { timeout: 20_000 }, async (t) => {
  const { client } = await connected(t);
  await Promise.all(Array.from({ length: 50 }, () => converse(client)));
});

test("a stream of many messages comes whole and in order, both ways at once", { timeout: 20_000 }, async (t) => {
  const { client } = await connected(t);
  const stream = client.stream(Streaming, "echoStream", undefined);
  const sending = (async () => {
    for (let seq = 1_000; seq < 21_000; seq++) await stream.send({ seq, msg: "" });
    stream.closeSend();
  })();
  let expected = 1_001;
  for await (const { seq } of stream) assert.equal(seq, expected++);
  await sending;
  assert.equal(expected, 21_001);
});

test("a server's stream waits for the client to read, and the rest of it still comes", {
  timeout: 20_000,
}, async (t) => {
  let made = 0;
  const { client } = await connected(t, {
    async *divideStream({ num }) {
      for (; made < num; made++) yield { add: made };
    },
  });
  const stream = client.stream(Streaming, "divideStream", { sum: 0, num: 1_000_000 });
  const first = stream[Symbol.asyncIterator]();
  await first.next();
  // As much as fits in the inbox and the sockets between, far from all; nothing else would tell that it stopped.
  let before: number;
  do {
    before = made;
    await new Promise((resolve) => setTimeout(resolve, 50));
  } while (made !== before);
  assert.ok(made < 200_000, `${made} made`);
  await first.return();
});

test("a reader that leaves its stream alone loses it, and the other calls go on", { timeout: 20_000 }, async (t) => {
  const { client } = await connected(t);
  const stream = client.stream(Streaming, "divideStream", { sum: 0, num: 100_000 });
  // The second answer is behind the stream's messages, which hold it up for a second.
  assert.deepEqual(await client.call(Streaming, "echo", blank), { seq: 1, msg: "" });
  assert.deepEqual(await client.call(Streaming, "echo", blank), { seq: 1, msg: "" });
  await assert.rejects(Array.fromAsync(stream), { name: "TtrpcError", code: StatusCode.ResourceExhausted });
});

test("a server's handler that does not read loses its stream, and the other calls go on", {
  timeout: 20_000,
}, async (t) => {
  const aborted = Promise.withResolvers<unknown>();
  const { client } = await connected(t, {
    sumStream: async (requests, { signal }) => {
      await once(signal, "abort");
      aborted.resolve(await Array.fromAsync(requests).catch((error) => error));
      return { sum: 0, num: 0 };
    },
  });
  const stream = client.stream(Streaming, "sumStream", undefined);
  for (let i = 0; i < 1_000; i++) await stream.send({ add: i });
  assert.deepEqual(await client.call(Streaming, "echo", blank), { seq: 1, msg: "" });
  await assert.rejects(stream.response(), { code: StatusCode.ResourceExhausted });
  assert.equal(((await aborted.promise) as TtrpcError).code, StatusCode.ResourceExhausted);
});

test("a stream that is out of time ends on both sides, and the connection stays", { timeout: 10_000 }, async (t) => {
  const called = Promise.withResolvers<CallContext>();
  const aborted = Promise.withResolvers<unknown>();
  // biome-ignore lint/correctness/useYield: it never has anything to say.
  const echoStream: Handlers["echoStream"] = async function* (_, context) {
    called.resolve(context);
    await once(context.signal, "abort");
    aborted.resolve(context.signal.reason);
  };
  const { client } = await connected(t, { echoStream });
  const stream = client.stream(Streaming, "echoStream", undefined, { timeoutMs: 40, metadata: { Name: "v" } });
  await assert.rejects(Array.fromAsync(stream), { code: StatusCode.DeadlineExceeded });
  await assert.rejects(stream.send(blank), { code: StatusCode.DeadlineExceeded });
  await client.call(Streaming, "echo", blank);
  assert.equal(((await aborted.promise) as TtrpcError).code, StatusCode.DeadlineExceeded);
  assert.deepEqual((await called.promise).metadata, new Map([["name", ["v"]]]));
});

test("a stream that is aborted or left is closed for the server, and the connection stays", {
  timeout: 10_000,
}, async (t) => {
  const ended: Promise<void>[] = [];
  const { client } = await connected(t, {
    async *echoStream(requests) {
      const { promise, resolve } = Promise.withResolvers<void>();
      ended.push(promise);
      yield blank;
      for await (const _ of requests);
      resolve();
    },
  });
  const abort = new AbortController();
  const aborted = client.stream(Streaming, "echoStream", undefined, { signal: abort.signal });
  const replies = aborted[Symbol.asyncIterator]();
  await replies.next();
  abort.abort(new Error("enough"));
  await assert.rejects(replies.next(), (error: TtrpcError) => {
    return error.code === StatusCode.Canceled && (error.cause as Error).message === "enough";
  });
  for await (const _ of client.stream(Streaming, "echoStream", undefined)) break;
  await client.call(Streaming, "echo", blank);
  assert.equal(ended.length, 2);
  await Promise.all(ended);
});

test("streams fail on both sides when the connection ends", { timeout: 10_000 }, async (t) => {
  const reading = Promise.withResolvers<void>();
  const failed = Promise.withResolvers<unknown>();
  const { client, server } = await connected(t, {
    sumStream: async (requests) => {
      reading.resolve();
      await Array.fromAsync(requests).catch(failed.resolve);
      return { sum: 0, num: 0 };
    },
  });
  const stream = client.stream(Streaming, "sumStream", undefined);
  await reading.promise;
  const response = assert.rejects(stream.response(), TtrpcClosed);
  await server.close();
  await response;
  assert.ok((await failed.promise) instanceof TtrpcClosed);
  await assert.rejects(stream.send({ add: 1 }), TtrpcClosed);
  assert.throws(() => client.stream(Streaming, "sumStream", undefined), TtrpcClosed);
});

test("a stream's message that is too large is refused by its sender", { timeout: 10_000 }, async (t) => {
  const tooLarge = { seq: 0, msg: "x".repeat(messageBytesMax) };
  const { client } = await connected(t, {
    async *emptyPayloadStream() {
      yield tooLarge;
    },
  });
  const stream = client.stream(Streaming, "echoStream", undefined);
  await assert.rejects(stream.send(tooLarge), { code: StatusCode.ResourceExhausted });
  await stream.send(mebibyte);
  stream.closeSend();
  assert.deepEqual((await Array.fromAsync(stream)).length, 1);
  await assert.rejects(stream.send(blank), { code: StatusCode.FailedPrecondition });
  const big = client.stream(Streaming, "emptyPayloadStream", {});
  await assert.rejects(Array.fromAsync(big), { code: StatusCode.ResourceExhausted });
});

test("a method is called in its own form only", async (t) => {
  const { client } = await connected(t);
  await assert.rejects(client.call(Streaming, "sumStream", { add: 1 }), TypeError);
  assert.throws(() => client.stream(Streaming, "echo", blank), TypeError);
});
