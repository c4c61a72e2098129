import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import * as net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { pendingCallsMax } from "../../../src/shim/ttrpc/client.ts";
import { encodeFrame, FrameReader, FrameType, messageBytesMax } from "../../../src/shim/ttrpc/frame.ts";
import {
  type CallContext,
  StatusCode,
  TtrpcClient,
  TtrpcClosed,
  TtrpcError,
  type TtrpcHandlers,
  TtrpcServer,
  type TtrpcServerOptions,
} from "../../../src/shim/ttrpc/mod.ts";
import { Request, Response } from "../../../src/wire/gen/ttrpc/request.ts";
import { eventsTtrpc, shim } from "../../../src/wire/mod.ts";

const Task = shim.TaskDefinition;
type Handlers = TtrpcHandlers<typeof Task>;

/** A server with the handlers, and its address; both gone after the test. */
async function serve(t: TestContext, handlers: Handlers, options: TtrpcServerOptions = {}) {
  const directory = await mkdtemp(join(tmpdir(), "shiplog-ttrpc-"));
  const path = join(directory, "s");
  const server = new TtrpcServer(options);
  server.register(Task, handlers);
  await server.listen(path);
  t.after(async () => {
    await server.close();
    await rm(directory, { recursive: true });
  });
  return { server, path, address: `unix://${path}` };
}

async function connect(t: TestContext, address: string): Promise<TtrpcClient> {
  const client = await TtrpcClient.connect(address);
  t.after(() => client.close());
  return client;
}

/** A handler that runs until its signal aborts. `started` gives its context, `aborted` the signal's reason. */
function runsUntilAborted() {
  const started = Promise.withResolvers<CallContext>();
  const aborted = Promise.withResolvers<unknown>();
  const pids = async (_: unknown, context: CallContext): Promise<never> => {
    started.resolve(context);
    await once(context.signal, "abort");
    aborted.resolve(context.signal.reason);
    throw context.signal.reason;
  };
  return { pids, started: started.promise, aborted: aborted.promise };
}

function failsWith(code: number, message?: RegExp | string) {
  return (error: unknown) => {
    assert.ok(error instanceof TtrpcError, String(error));
    assert.equal(error.code, code, error.message);
    if (message !== undefined) assert.match(error.message, new RegExp(message));
    return true;
  };
}

test("a call gets its reply, and the handler its metadata and peer", async (t) => {
  let seen: CallContext | undefined;
  const connect_ = async ({ id }: shim.ConnectRequest, context: CallContext) => {
    seen = context;
    return { shimPid: 1, taskPid: 2, version: id };
  };
  const peer = { pid: 10, uid: 20, gid: 30 };
  const { address } = await serve(t, { connect: connect_ }, { peerOf: () => peer });
  const client = await connect(t, address);
  const metadata = { "Containerd-Namespace-Ttrpc": "ns" };
  const reply = await client.call(Task, "connect", { id: "x" }, { metadata });
  assert.deepEqual(reply, { shimPid: 1, taskPid: 2, version: "x" });
  assert.deepEqual(seen?.metadata, new Map([["containerd-namespace-ttrpc", ["ns"]]]));
  assert.deepEqual(seen?.peer, peer);
});

test("every call gets its own reply when replies come in another order", async (t) => {
  const count = 300;
  const gates: (() => void)[] = [];
  const start = async ({ id }: shim.StartRequest) => {
    await new Promise<void>((resolve) => {
      gates.push(resolve);
      if (gates.length === count) for (const open of gates.reverse()) open();
    });
    return { pid: Number(id) };
  };
  const { address } = await serve(t, { start });
  const client = await connect(t, address);
  const ids = Array.from({ length: count }, (_, index) => index);
  const replies = await Promise.all(ids.map((id) => client.call(Task, "start", { id: `${id}`, execId: "" })));
  assert.deepEqual(
    replies.map(({ pid }) => pid),
    ids,
  );
});

test("a call is unimplemented when the server has no such service or method", async (t) => {
  const { address } = await serve(t, { connect: async () => ({ shimPid: 0, taskPid: 0, version: "" }) });
  const client = await connect(t, address);
  const forward = client.call(eventsTtrpc.EventsDefinition, "forward", { envelope: undefined });
  await assert.rejects(forward, failsWith(StatusCode.Unimplemented, "service containerd.services.events.ttrpc.v1"));
  const wait = client.call(Task, "wait", { id: "x", execId: "" });
  await assert.rejects(wait, failsWith(StatusCode.Unimplemented, "method Wait"));
});

test("a handler's TtrpcError reaches the caller with code, message and details", async (t) => {
  const details = [{ typeUrl: "a.B", value: Buffer.from([1, 2]) }];
  const kill = async (): Promise<never> => {
    throw new TtrpcError(StatusCode.NotFound, "process already finished: not found", { details });
  };
  const { address } = await serve(t, { kill });
  const client = await connect(t, address);
  await assert.rejects(client.call(Task, "kill", { id: "x", execId: "", signal: 9, all: false }), {
    name: "TtrpcError",
    code: StatusCode.NotFound,
    message: "process already finished: not found",
    details,
  });
});

test("a handler's other errors are what statusOf makes of them, or unknown", async (t) => {
  const pause = async (): Promise<never> => {
    throw new Error("cannot pause a stopped container");
  };
  const plain = await connect(t, (await serve(t, { pause })).address);
  await assert.rejects(
    plain.call(Task, "pause", { id: "x" }),
    failsWith(StatusCode.Unknown, "^cannot pause a stopped"),
  );
  const statusOf = () => ({ code: StatusCode.Aborted, message: "mapped", details: [] });
  const mapped = await connect(t, (await serve(t, { pause }, { statusOf })).address);
  await assert.rejects(mapped.call(Task, "pause", { id: "x" }), failsWith(StatusCode.Aborted, "^mapped$"));
});

test("a waiting call is rejected when the server closes, and its handler's signal aborts", async (t) => {
  const { pids, aborted } = runsUntilAborted();
  const { server, address } = await serve(t, { pids });
  const client = await connect(t, address);
  let closes = 0;
  client.onClose(() => closes++);
  const call = client.call(Task, "pids", { id: "x" });
  const second = assert.rejects(client.call(Task, "pids", { id: "y" }), TtrpcClosed);
  await client.call(Task, "connect", { id: "both are there" }).catch(failsWith(StatusCode.Unimplemented));
  await server.close();
  await assert.rejects(call, TtrpcClosed);
  await second;
  assert.ok((await aborted) instanceof TtrpcClosed);
  await client.closed;
  assert.equal(closes, 1);
  client.onClose(() => closes++);
  assert.equal(closes, 2);
  await assert.rejects(client.call(Task, "pids", { id: "x" }), TtrpcClosed);
});

test("a handler's signal aborts when the client closes, and the server goes on", async (t) => {
  const { pids, started, aborted } = runsUntilAborted();
  const { address } = await serve(t, { pids });
  const client = await connect(t, address);
  const call = client.call(Task, "pids", { id: "x" });
  await started;
  client.close();
  await assert.rejects(call, TtrpcClosed);
  assert.ok((await aborted) instanceof TtrpcClosed);
  await client.closed;
  const next = await connect(t, address);
  await assert.rejects(next.call(Task, "connect", { id: "x" }), failsWith(StatusCode.Unimplemented));
});

test("a reply already given goes out when the server closes after it", async (t) => {
  let server: TtrpcServer | undefined;
  let closed: Promise<void> | undefined;
  const shutdown = async () => {
    setImmediate(() => {
      closed = server!.close();
    });
    return {};
  };
  const served = await serve(t, { shutdown });
  server = served.server;
  const client = await connect(t, served.address);
  assert.deepEqual(await client.call(Task, "shutdown", { id: "x", now: false }), {});
  await client.closed;
  await closed;
});

test("a call is out of time on both sides when the time is up, and the connection stays", async (t) => {
  const { pids, started, aborted } = runsUntilAborted();
  const { address } = await serve(t, { pids });
  const client = await connect(t, address);
  const call = client.call(Task, "pids", { id: "x" }, { timeoutMs: 20 });
  await assert.rejects(call, failsWith(StatusCode.DeadlineExceeded, "containerd.task.v2.Task/Pids: no reply in 20 ms"));
  await started;
  assert.ok(failsWith(StatusCode.DeadlineExceeded)(await aborted));
  // The late reply to the first call must not be taken for the reply to this one.
  await assert.rejects(client.call(Task, "connect", { id: "x" }), failsWith(StatusCode.Unimplemented));
});

test("a call is canceled when its signal aborts, before or while it waits", async (t) => {
  const { pids, started } = runsUntilAborted();
  const { address } = await serve(t, { pids });
  const client = await connect(t, address);
  const controller = new AbortController();
  const call = client.call(Task, "pids", { id: "x" }, { signal: controller.signal });
  await started;
  const reason = new Error("enough");
  controller.abort(reason);
  await assert.rejects(call, { code: StatusCode.Canceled, cause: reason });
  const late = client.call(Task, "pids", { id: "x" }, { signal: controller.signal });
  await assert.rejects(late, { code: StatusCode.Canceled, cause: reason });
});

test("a request or reply that is too large is refused, and the connection stays", async (t) => {
  const big = "x".repeat(messageBytesMax);
  const connect_ = async ({ id }: shim.ConnectRequest) => ({
    shimPid: 0,
    taskPid: 0,
    version: id === "big" ? big : id,
  });
  const { address } = await serve(t, { connect: connect_ });
  const client = await connect(t, address);
  await assert.rejects(client.call(Task, "connect", { id: big }), failsWith(StatusCode.ResourceExhausted, "a request"));
  await assert.rejects(client.call(Task, "connect", { id: "big" }), failsWith(StatusCode.ResourceExhausted, "a reply"));
  const almost = big.slice(1024);
  assert.equal((await client.call(Task, "connect", { id: almost })).version, almost);
});

test("one call more than the bound is refused when all others wait", async (t) => {
  const { pids } = runsUntilAborted();
  const { address } = await serve(t, { pids });
  const client = await connect(t, address);
  const calls = Array.from({ length: pendingCallsMax }, () => client.call(Task, "pids", { id: "x" }));
  const settled = Promise.allSettled(calls);
  await assert.rejects(client.call(Task, "pids", { id: "x" }), failsWith(StatusCode.ResourceExhausted));
  client.close();
  assert.ok((await settled).every((call) => call.status === "rejected" && call.reason instanceof TtrpcClosed));
});

test("connecting fails with the system's error as cause when nobody listens", async () => {
  const missing = TtrpcClient.connect(`unix://${join(tmpdir(), "shiplog-no-such-socket")}`);
  await assert.rejects(missing, (error: Error & { cause?: { code?: string } }) => {
    assert.ok(error instanceof TtrpcClosed);
    assert.equal(error.cause?.code, "ENOENT");
    return true;
  });
});

test("client and server meet at an abstract name", async (t) => {
  const { server } = await serve(t, {});
  const name = `shiplog-test-${process.pid}`;
  await server.listen(`\0${name}`);
  const client = await connect(t, name);
  await assert.rejects(client.call(Task, "connect", { id: "x" }), failsWith(StatusCode.Unimplemented));
});

test("another user's connection is closed unserved when only the same user may connect", async (t) => {
  const uid = process.geteuid!();
  let peerUid = uid + 1;
  const { address } = await serve(t, {}, { sameUserOnly: true, peerOf: () => ({ pid: 1, uid: peerUid, gid: 0 }) });
  const other = await connect(t, address);
  await assert.rejects(other.call(Task, "connect", { id: "x" }), TtrpcClosed);
  peerUid = uid;
  const same = await connect(t, address);
  await assert.rejects(same.call(Task, "connect", { id: "x" }), failsWith(StatusCode.Unimplemented));
  assert.throws(() => new TtrpcServer({ sameUserOnly: true }), TypeError);
});

test("registering a service twice is an error", async (t) => {
  const { server } = await serve(t, {});
  assert.throws(() => server.register(Task, {}), TypeError);
});

/** Sends bytes as they are and returns the statuses of the replies, by stream id, once there are `count`. */
async function exchange(path: string, bytes: Buffer[], count: number): Promise<[number, number | undefined][]> {
  const socket = net.connect({ path });
  const reader = new FrameReader();
  const replies: [number, number | undefined][] = [];
  try {
    socket.write(Buffer.concat(bytes));
    for await (const chunk of socket) {
      for (const { streamId, type, message } of reader.push(chunk)) {
        assert.equal(type, FrameType.Response);
        replies.push([streamId, Response.decode(message!).status?.code]);
      }
      if (replies.length >= count) break;
    }
  } finally {
    socket.destroy();
  }
  return replies;
}

function requestFrame(streamId: number): Buffer {
  const connect = {
    service: Task.fullName,
    method: "Connect",
    payload: Buffer.alloc(0),
    timeoutNano: 0n,
    metadata: [],
  };
  return encodeFrame(streamId, FrameType.Request, Request.encode(connect).finish());
}

test("a bad frame is answered on its stream id, and the next request is served", async (t) => {
  const { path } = await serve(t, { connect: async () => ({ shimPid: 0, taskPid: 0, version: "" }) });
  const oversize = encodeFrame(3, FrameType.Request, Buffer.alloc(messageBytesMax + 1));
  const garbage = encodeFrame(5, FrameType.Request, Buffer.from([0x0a, 0xff]));
  const sent = [requestFrame(2), oversize, garbage, requestFrame(7), requestFrame(7)];
  const replies = await exchange(path, sent, 5);
  assert.deepEqual(
    new Map(replies.filter(([, code]) => code !== undefined)),
    new Map([
      [2, StatusCode.InvalidArgument],
      [3, StatusCode.ResourceExhausted],
      [5, StatusCode.InvalidArgument],
      [7, StatusCode.InvalidArgument],
    ]),
  );
  assert.deepEqual(
    replies.filter(([, code]) => code === undefined),
    [[7, undefined]],
  );
});

test("a data frame that is of no stream is refused, and one of an unknown type is passed over", async (t) => {
  const { path } = await serve(t, { connect: async () => ({ shimPid: 0, taskPid: 0, version: "" }) });
  const sent = [encodeFrame(1, FrameType.Data, Buffer.from("x")), encodeFrame(1, 9, Buffer.from("x")), requestFrame(1)];
  assert.deepEqual(await exchange(path, sent, 2), [
    [1, StatusCode.InvalidArgument],
    [1, undefined],
  ]);
});

test("a call fails and the connection stays when the server's frame is no reply", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "shiplog-ttrpc-"));
  t.after(() => rm(directory, { recursive: true }));
  const answers = [
    encodeFrame(1, FrameType.Data, Buffer.from("x")),
    encodeFrame(3, FrameType.Response, Buffer.from([0x0a, 0xff])),
    encodeFrame(5, FrameType.Response, Response.encode({ status: undefined, payload: Buffer.from([0xff]) }).finish()),
    encodeFrame(7, FrameType.Response, Buffer.alloc(0)),
  ];
  const listener = net.createServer((socket) => socket.on("data", () => socket.write(answers.shift()!)));
  t.after(() => listener.close());
  await once(listener.listen({ path: join(directory, "s") }), "listening");
  const client = await connect(t, `unix://${join(directory, "s")}`);
  const call = () => client.call(Task, "connect", { id: "x" });
  await assert.rejects(call(), failsWith(StatusCode.Internal, "type 3"));
  await assert.rejects(call(), failsWith(StatusCode.Internal, "not a ttrpc response"));
  await assert.rejects(call(), failsWith(StatusCode.Internal, "not a message of its type"));
  assert.deepEqual(await call(), { shimPid: 0, taskPid: 0, version: "" });
});
