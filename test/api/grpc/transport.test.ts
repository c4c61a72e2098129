import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, readFile, stat, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import type { Call } from "../../../src/api/call.ts";
import { type Fault, GrpcServer, MESSAGE_BYTES_MAX, SOCKET_PATH_BYTES_MAX } from "../../../src/api/grpc/mod.ts";
import type { Service } from "../../../src/api/service.ts";
import { ShiplogError } from "../../../src/error.ts";
import { Files, peerOf, randomIds } from "../../../src/platform/mod.ts";
import { content, containers } from "../../../src/wire/mod.ts";
import { codeOf, messageOf, serviceClient } from "../../harness/grpc-client.ts";
import { temporaryDirectory } from "../../harness/temporary.ts";

type Content = Service<typeof content.ContentDefinition>;

/** A server of a few methods of the content service, whose requests and replies have every kind of stream. */
async function serve(t: TestContext, service: Content) {
  const socket = join(await temporaryDirectory(t), "api.sock");
  const faults: Fault[] = [];
  const server = new GrpcServer({ ids: randomIds, files: new Files(), peerOf, onFault: (fault) => faults.push(fault) });
  server.add(content.ContentDefinition, service);
  await server.listen(socket);
  const client = serviceClient(content.ContentDefinition, socket);
  t.after(async () => {
    client.close();
    await server.close({ graceMs: 100 });
  });
  return { socket, server, client, faults };
}

/** A client that sends bytes as they are. */
function rawClient(t: TestContext, socket: string) {
  const client = new Client(`unix:${socket}`, credentials.createInsecure(), { "grpc.max_send_message_length": -1 });
  t.after(() => client.close());
  const same = (bytes: Buffer) => bytes;
  return (path: string, request: Buffer, metadata = new Metadata(), deadline?: number): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        path,
        same,
        same,
        request,
        metadata,
        deadline === undefined ? {} : { deadline },
        (error, reply) => (error === null ? resolve(reply!) : reject(error)),
      );
    });
}

const infoPath = "/containerd.services.content.v1.Content/Info";
const empty = { info: undefined };

test("a unary call reaches its handler with namespace, lease, request and the peer's principal", async (t) => {
  let seen: Call | undefined;
  const { client } = await serve(t, {
    info: async ({ digest }, call) => {
      seen = call;
      call.position = 42;
      return { info: content.Info.fromPartial({ digest }) };
    },
  });
  let position: string | undefined;
  const reply = await client.info(
    { digest: "d" },
    { namespace: "ns", lease: "l", position: (sent) => (position = sent) },
  );
  assert.equal(reply.info?.digest, "d");
  assert.equal(position, "42");
  assert.equal(seen?.namespace(), "ns");
  assert.equal(seen?.lease, "l");
  assert.equal(seen?.metadata.get("containerd-namespace"), "ns");
  const principal = { uid: process.getuid!(), gid: process.getgid!(), pid: process.pid };
  assert.deepEqual(seen?.origin(), { namespace: "ns", principal, request: seen?.request });
  assert.match(seen!.request, /^[0-9a-f]{20}$/);
});

test("calls of two processes have two principals", async (t) => {
  const pids: number[] = [];
  const { socket, client } = await serve(t, {
    info: async (_request, { principal }) => {
      pids.push(principal.pid);
      return empty;
    },
  });
  const other = spawn(process.execPath, [
    "--input-type=module",
    "-e",
    `import { Client, credentials } from ${JSON.stringify(import.meta.resolve("@grpc/grpc-js"))};
     const client = new Client("unix:${socket}", credentials.createInsecure());
     const same = (bytes) => bytes;
     client.makeUnaryRequest("${infoPath}", same, same, Buffer.alloc(0), (error) => { client.close(); process.exitCode = error ? 1 : 0; });`,
  ]);
  const [code] = await once(other, "exit");
  assert.equal(code, 0);
  await client.info({}, {});
  assert.deepEqual(pids, [other.pid, process.pid]);
});

test("the namespace header is required, must be an identifier, and its first value counts", async (t) => {
  const { socket } = await serve(t, {
    info: async (_request, call) => ({ info: content.Info.fromPartial({ digest: call.namespace() }) }),
  });
  const call = rawClient(t, socket);
  const named = (...names: string[]) => {
    const metadata = new Metadata();
    for (const name of names) metadata.add("containerd-namespace", name);
    return call(infoPath, Buffer.alloc(0), metadata);
  };
  assert.equal(await codeOf(named()), "FAILED_PRECONDITION");
  assert.equal(await messageOf(named()), "namespace is required: failed precondition");
  assert.equal(await codeOf(named("-bad")), "INVALID_ARGUMENT");
  assert.match(
    await messageOf(named("-bad")),
    /^namespace validation: identifier "-bad" must match .*: invalid argument$/,
  );
  assert.equal(content.InfoResponse.decode(await named("newest", "older")).info?.digest, "newest");
});

test("errors become statuses, and only faults are reported, once", async (t) => {
  const thrown = new Error("out of luck");
  const { client, faults } = await serve(t, {
    info: async ({ digest }) => {
      throw digest === "known" ? new ShiplogError("NotFound", `content ${digest}`) : thrown;
    },
    // biome-ignore lint/correctness/useYield: it is to fail before its first message
    list: async function* () {
      throw new ShiplogError("Aborted", "no more");
    },
  });
  assert.equal(await codeOf(client.info({ digest: "known" }, {})), "NOT_FOUND");
  assert.equal(await messageOf(client.info({ digest: "known" }, {})), "content known: not found");
  assert.deepEqual(faults, []);
  assert.equal(await codeOf(client.info({ digest: "other" }, {})), "UNKNOWN");
  assert.deepEqual(
    faults.map(({ error, during }) => [error, during]),
    [[thrown, infoPath]],
  );
  assert.equal(await messageOf(client.info({ digest: "other" }, {})), "out of luck");
  assert.equal(await codeOf(client.list({}, {})), "ABORTED");
});

test("methods that are left out and unknown services are UNIMPLEMENTED by their full name", async (t) => {
  const { socket } = await serve(t, { info: async () => empty });
  const call = rawClient(t, socket);
  for (const path of [
    "/containerd.services.content.v1.Content/Abort",
    "/containerd.services.content.v1.Content/No",
    "/no.Such/Thing",
  ]) {
    assert.equal(await codeOf(call(path, Buffer.alloc(0))), "UNIMPLEMENTED");
    assert.ok((await messageOf(call(path, Buffer.alloc(0)))).includes(path));
  }
});

test("garbage is INTERNAL and reaches no handler", async (t) => {
  let calls = 0;
  const { socket } = await serve(t, {
    info: async () => {
      calls++;
      return empty;
    },
  });
  const call = rawClient(t, socket);
  assert.equal(await codeOf(call(infoPath, Buffer.from("ffffffffffff", "hex"))), "INTERNAL");
  assert.equal(calls, 0);
  await call(infoPath, Buffer.alloc(0));
  assert.equal(calls, 1);
});

test("messages of 16 MiB pass and larger ones are RESOURCE_EXHAUSTED, each way", async (t) => {
  const { socket, client } = await serve(t, {
    info: async ({ digest }) => ({
      info: content.Info.fromPartial(
        digest === "large" ? { digest: "x".repeat(MESSAGE_BYTES_MAX) } : { size: BigInt(digest.length) },
      ),
    }),
  });
  const call = rawClient(t, socket);
  const request = (bytes: number) => Buffer.from(content.InfoRequest.encode({ digest: "x".repeat(bytes) }).finish());
  const headBytes = request(MESSAGE_BYTES_MAX).length - MESSAGE_BYTES_MAX;
  const largest = request(MESSAGE_BYTES_MAX - headBytes);
  assert.equal(largest.length, MESSAGE_BYTES_MAX);
  assert.equal(
    content.InfoResponse.decode(await call(infoPath, largest)).info?.size,
    BigInt(MESSAGE_BYTES_MAX - headBytes),
  );
  assert.equal(await codeOf(call(infoPath, request(MESSAGE_BYTES_MAX))), "RESOURCE_EXHAUSTED");
  assert.equal(await codeOf(client.info({ digest: "large" }, {})), "RESOURCE_EXHAUSTED");
});

test("the signal tells the handler of a cancelled call and of a passed deadline", async (t) => {
  const reasons: unknown[] = [];
  const entered = Promise.withResolvers<void>();
  let ended = Promise.withResolvers<void>();
  const { socket, client } = await serve(t, {
    info: async (_request, { signal }) => {
      entered.resolve();
      await once(signal, "abort");
      reasons.push((signal.reason as ShiplogError).class);
      ended.resolve();
      throw signal.reason;
    },
  });
  const gone = new AbortController();
  const call = codeOf(client.info({}, { signal: gone.signal }));
  await entered.promise;
  gone.abort();
  assert.equal(await call, "CANCELLED");
  await ended.promise;
  ended = Promise.withResolvers();
  assert.equal(
    await codeOf(rawClient(t, socket)(infoPath, Buffer.alloc(0), new Metadata(), Date.now() + 100)),
    "DEADLINE_EXCEEDED",
  );
  await ended.promise;
  assert.deepEqual(reasons, ["Canceled", "DeadlineExceeded"]);
});

test("the signal of a call that has ended well keeps still", async (t) => {
  let signal: AbortSignal | undefined;
  const { client } = await serve(t, {
    info: async (_request, call) => {
      signal = call.signal;
      return empty;
    },
  });
  await client.info({}, {});
  await client.info({}, {});
  const first = signal!;
  await client.info({}, {});
  assert.equal(first.aborted, false);
});

test("setting the position of a stream sends its headers before there is a message", async (t) => {
  const go = Promise.withResolvers<void>();
  const { client } = await serve(t, {
    list: async function* (_request, call) {
      call.position = 7;
      await go.promise;
      yield { info: [] };
    },
  });
  const headers = Promise.withResolvers<string | undefined>();
  const stream = client.list({}, { position: headers.resolve });
  assert.equal(await headers.promise, "7");
  go.resolve();
  assert.equal((await Array.fromAsync(stream)).length, 1);
});

test("a stream's handler makes no more than a bounded number of messages ahead of a slow reader, and ends when it goes away", async (t) => {
  const messageBytes = 256 * 1024;
  const message = { offset: 0n, data: Buffer.alloc(messageBytes) };
  let made = 0;
  let stalled = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  let timer: NodeJS.Timeout | undefined;
  const { client } = await serve(t, {
    read: async function* () {
      try {
        for (;;) {
          // The handler is not asked for more while the client does not read.
          clearTimeout(timer);
          timer = setTimeout(() => stalled.resolve(), 300);
          made++;
          yield message;
        }
      } finally {
        clearTimeout(timer);
        ended.resolve();
      }
    },
  });
  const gone = new AbortController();
  const reader = client.read({}, { signal: gone.signal })[Symbol.asyncIterator]();
  await reader.next();
  await stalled.promise;
  // Two MiB here, and what the sockets, both HTTP/2 windows and the client's own buffer of 16 messages hold.
  assert.ok(made * messageBytes <= 8 * 1024 * 1024, `${made} messages were made`);
  const before = made;
  stalled = Promise.withResolvers();
  for (let read = 0; read < 40; read++) await reader.next();
  assert.ok(made > before);
  gone.abort();
  await ended.promise;
});

test("a bidi call answers each message as it comes, and sees the half-close", async (t) => {
  const { client } = await serve(t, {
    write: async function* (requests) {
      let count = 0n;
      for await (const { ref } of requests) {
        count++;
        yield content.WriteContentResponse.fromPartial({ digest: ref, offset: count });
      }
      yield content.WriteContentResponse.fromPartial({ digest: "end", offset: count });
    },
  });
  const call = client.write({});
  assert.equal((await call.exchange({ ref: "a" })).digest, "a");
  assert.equal((await call.exchange({ ref: "b" })).offset, 2n);
  call.end();
  assert.equal((await call.next())?.digest, "end");
  assert.equal(await call.next(), undefined);
});

test("a bidi handler may end the call while the client still writes", async (t) => {
  const { client } = await serve(t, {
    write: async function* (requests) {
      for await (const { ref } of requests) {
        yield content.WriteContentResponse.fromPartial({ digest: ref });
        return;
      }
    },
  });
  const call = client.write({});
  assert.equal((await call.exchange({ ref: "a" })).digest, "a");
  assert.equal(await call.next(), undefined);
});

test("a connection outlives any number of streams that its client resets", async (t) => {
  const { client } = await serve(t, {
    async *write(requests) {
      for await (const { ref } of requests) yield content.WriteContentResponse.fromPartial({ digest: ref });
    },
  });
  // Node's bound is 1,000 at once, and then 33 a second.
  for (let round = 0; round < 150; round++) {
    await Promise.all(
      Array.from({ length: 10 }, async () => {
        const stream = client.write({ namespace: "ns" });
        assert.equal((await stream.exchange({ ref: "r" })).digest, "r");
        stream.cancel();
      }),
    );
  }
});

test("a bidi handler that reads sees the client's cancellation as its reason", async (t) => {
  const thrown = Promise.withResolvers<unknown>();
  const { client, faults } = await serve(t, {
    write: async function* (requests) {
      try {
        for await (const { ref } of requests) yield content.WriteContentResponse.fromPartial({ digest: ref });
      } catch (error) {
        thrown.resolve(error);
        throw error;
      }
    },
  });
  const call = client.write({});
  await call.exchange({ ref: "a" });
  call.cancel();
  assert.equal(((await thrown.promise) as ShiplogError).class, "Canceled");
  assert.deepEqual(faults, []);
});

test("a peer that cannot be read, and one connection too many, are turned away and reported", async (t) => {
  const socket = join(await temporaryDirectory(t), "api.sock");
  const faults: Fault[] = [];
  const server = new GrpcServer({
    ids: randomIds,
    files: new Files(),
    peerOf: () => {
      throw new Error("no credentials");
    },
    onFault: (fault) => faults.push(fault),
  });
  await server.listen(socket);
  t.after(() => server.close({ graceMs: 0 }));
  const connection = connect(socket);
  await once(connection, "close");
  assert.deepEqual(
    faults.map(({ during, error }) => [during, (error as Error).message]),
    [["accept", "no credentials"]],
  );
});

test("close ends what waits with Unavailable, lets the rest finish, and takes no more calls", async (t) => {
  const entered = Promise.withResolvers<void>();
  const finish = Promise.withResolvers<void>();
  const { server, client } = await serve(t, {
    info: async () => {
      entered.resolve();
      await finish.promise;
      return empty;
    },
    // biome-ignore lint/correctness/useYield: it waits for the end of the server
    list: async function* (_request, call) {
      call.position = 0;
      await once(call.signal, "abort");
      throw call.signal.reason;
    },
  });
  const headers = Promise.withResolvers<string | undefined>();
  const waiting = codeOf(client.list({}, { position: headers.resolve }));
  await headers.promise;
  const working = codeOf(client.info({}, {}));
  await entered.promise;
  const closed = server.close({ graceMs: 10_000 });
  assert.equal(await waiting, "UNAVAILABLE");
  finish.resolve();
  assert.equal(await working, "OK");
  await closed;
  assert.equal(await codeOf(client.info({}, {})), "UNAVAILABLE");
});

test("close cuts off calls that outlast the grace", async (t) => {
  const entered = Promise.withResolvers<void>();
  const { server, client } = await serve(t, {
    info: async () => {
      entered.resolve();
      await new Promise(() => {});
      return empty;
    },
  });
  const stuck = codeOf(client.info({}, {}));
  await entered.promise;
  await server.close({ graceMs: 20 });
  assert.notEqual(await stuck, "OK");
});

const anyServer = () => new GrpcServer({ ids: randomIds, files: new Files(), peerOf, onFault: () => {} });

test("listen makes the directory, sets the mode, and replaces a stale socket", async (t) => {
  const directory = await temporaryDirectory(t);
  const path = join(directory, "run", "api.sock");
  const server = anyServer();
  await server.listen(path, { uid: process.getuid!(), gid: process.getgid!() });
  assert.equal((await stat(path)).mode & 0o777, 0o660);
  assert.equal((await stat(join(directory, "run"))).mode & 0o770, 0o770 & ~process.umask());
  await server.close({ graceMs: 0 });

  // A process that is killed leaves its socket behind.
  const script = `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
  await once(spawn(process.execPath, ["-e", script]), "exit");
  assert.ok((await stat(path)).isSocket());
  const next = anyServer();
  await next.listen(path, { mode: 0o600 });
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  await next.close({ graceMs: 0 });
});

test("listen refuses a path that a live server answers on, a file that is no socket, and a path that is too long", async (t) => {
  const directory = await temporaryDirectory(t);
  const path = join(directory, "api.sock");
  const live = createServer((connection) => connection.destroy()).listen(path);
  await once(live, "listening");
  t.after(() => live.close());
  await assert.rejects(anyServer().listen(path), { class: "FailedPrecondition", reason: "SocketInUse" });

  const file = join(directory, "file");
  await writeFile(file, "mine");
  await chmod(file, 0o600);
  await assert.rejects(anyServer().listen(file), { class: "FailedPrecondition" });
  assert.equal(await readFile(file, "utf8"), "mine");

  const long = join(directory, "x".repeat(SOCKET_PATH_BYTES_MAX - directory.length));
  assert.equal(long.length, SOCKET_PATH_BYTES_MAX + 1);
  await assert.rejects(anyServer().listen(long), { class: "InvalidArgument" });
});

test("adding a method twice is an error", () => {
  const server = anyServer();
  server.add(containers.ContainersDefinition, { delete: async () => ({}) });
  assert.throws(() => server.add(containers.ContainersDefinition, { delete: async () => ({}) }), /served already/);
});

test("a status message survives line breaks, percent signs and lone surrogates", async (t) => {
  const text = `50%\nof "ünï"  ${String.fromCharCode(0xd800)}`;
  const { client } = await serve(t, {
    info: async () => {
      throw new ShiplogError("Internal", text);
    },
  });
  const error = await client.info({}, {}).then(
    () => undefined,
    (thrown: ServiceError) => thrown,
  );
  assert.equal(error?.code, status.INTERNAL);
  assert.equal(error?.details, text.toWellFormed());
});
