/** The query service on the real transport over a real ledger, in this process. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type Fault, GrpcServer } from "../../src/api/grpc/mod.ts";
import { queryService, SILENT_FACTS_MAX } from "../../src/api/query.ts";
import { parsePrefix } from "../../src/api/query-path.ts";
import type { Step } from "../../src/ledger.ts";
import { Files, peerOf, randomIds } from "../../src/platform/mod.ts";
import { rowNameOf } from "../../src/projections/mod.ts";
import { query } from "../../src/wire/mod.ts";
import { codeOf, messageOf, serviceClient } from "../harness/grpc-client.ts";
import { type OpenLedger, openLedgerIn, testOrigin } from "../harness/ledger.ts";
import { temporaryDirectory } from "../harness/temporary.ts";

/** `uid` stands in for the one that the kernel names. */
async function serve(t: TestContext, uid?: number) {
  const root = await temporaryDirectory(t);
  const open = await openLedgerIn(root);
  const faults: Fault[] = [];
  const peer = uid === undefined ? peerOf : () => ({ pid: process.pid, uid, gid: uid });
  const server = new GrpcServer({
    ids: randomIds,
    files: new Files(),
    peerOf: peer,
    onFault: (fault) => faults.push(fault),
  });
  const { ledger, tables, log } = open;
  server.add(query.QueryDefinition, queryService({ ledger, tables, log, follow: (range) => log.follow(range) }));
  const socket = join(root, "api.sock");
  await server.listen(socket);
  const client = serviceClient(query.QueryDefinition, socket);
  t.after(async () => {
    client.close();
    await server.close({ graceMs: 1_000 });
    await open.close();
    assert.deepEqual(faults, []);
  });
  return { open, client };
}

type Client = Awaited<ReturnType<typeof serve>>["client"];

const target = { mediaType: "m", digest: `sha256:${"a".repeat(64)}`, size: 1, annotations: {} };
const createImage = (namespace: string, name: string): Step => ({
  kind: "image",
  namespace,
  key: name,
  command: { type: "CreateImage", name, target, labels: {} },
});
const deleteImage = (namespace: string, name: string): Step => ({
  kind: "image",
  namespace,
  key: name,
  command: { type: "DeleteImage", name },
});

const perform = ({ ledger }: OpenLedger, ...steps: readonly Step[]) =>
  ledger.transact(testOrigin("docker"), () => steps);

const value = (text: string) => ({ typeUrl: "example.com/text", value: Buffer.from(text) });

/** Every page of a list, with the position that all of them are as of. */
async function listAll(client: Client, prefix: string, limit = 0) {
  const rows: query.Row[] = [];
  let pages = 0;
  let position: bigint | undefined;
  for (let pageToken = ""; pages === 0 || pageToken !== ""; pages += 1) {
    const page = await client.list({ prefix, limit, pageToken }, {});
    position ??= page.position;
    assert.equal(page.position, position);
    rows.push(...page.rows);
    pageToken = page.nextPageToken;
  }
  return { rows, pages, position: position! };
}

const pathsOf = (rows: readonly query.Row[]) => rows.map(({ path }) => path);

test("a list has the rows below its prefix, and each can be got by its path", async (t) => {
  const { open, client } = await serve(t);
  await perform(open, ...["redis/3.2", "redis", "redis2"].map((name) => createImage("docker", name)));
  await client.put({ path: "/kube/pods/redis", value: value("1") }, {});
  await client.put({ path: "/kube/services/lb", value: value("2") }, {});
  const list = async (prefix: string) => pathsOf((await client.list({ prefix }, {})).rows);
  assert.deepEqual(await list("/docker/images/redis"), ["/docker/images/redis", "/docker/images/redis/3.2"]);
  assert.deepEqual(await list("/docker/images/redis*"), [
    "/docker/images/redis",
    "/docker/images/redis/3.2",
    "/docker/images/redis2",
  ]);
  assert.deepEqual(await list("/kube/services"), ["/kube/services/lb"]);
  assert.deepEqual(await list("/nowhere"), []);
  const everything = await client.list({ prefix: "/" }, {});
  assert.deepEqual(pathsOf(everything.rows), [
    "/docker/images/redis",
    "/docker/images/redis/3.2",
    "/docker/images/redis2",
    "/docker/namespaces/docker",
    "/kube/pods/redis",
    "/kube/services/lb",
    "/kube/namespaces/kube",
  ]);
  for (const row of everything.rows) assert.deepEqual((await client.get({ path: row.path }, {})).row, row);
});

test("a row tells its version, its position, its times and the log's position", async (t) => {
  const { open, client } = await serve(t);
  const path = "/kube/pods/redis";
  const put = await client.put({ path, value: value("1") }, {});
  await client.put({ path, value: value("2") }, {});
  let position: string | undefined;
  const { row } = await client.get({ path }, { position: (sent) => (position = sent) });
  assert.deepEqual(
    [row!.version, row!.position, row!.kind, row!.namespace, row!.key],
    [1n, 2n, "entry", "kube", "pods/redis"],
  );
  assert.equal(position, "3");
  const [first, second] = await Promise.all([open.log.get(1), open.log.get(2)]);
  assert.deepEqual([row!.createdUnixNano, row!.updatedUnixNano], [first.time, second.time]);
  assert.deepEqual(row!.entry, value("2"));
  assert.deepEqual(put.row!.entry, value("1"));
});

test("a page is as long as asked for, and the token of the last is empty", async (t) => {
  const { open, client } = await serve(t);
  const names = Array.from({ length: 25 }, (_, index) => `i${String(index).padStart(2, "0")}`);
  await perform(open, ...names.map((name) => createImage("docker", name)));
  const { rows, pages } = await listAll(client, "/docker/images", 5);
  assert.deepEqual(
    pathsOf(rows),
    names.map((name) => `/docker/images/${name}`),
  );
  assert.equal(pages, 5);
  const first = await client.list({ prefix: "/docker/images", limit: 5 }, {});
  const elsewhere = { prefix: "/docker", pageToken: first.nextPageToken };
  assert.equal(await codeOf(client.list(elsewhere, {})), "INVALID_ARGUMENT");
  assert.equal(await codeOf(client.list({ prefix: "/docker", pageToken: "nonsense" }, {})), "INVALID_ARGUMENT");
});

test("a page ends early rather than being too large, and nothing is left out", async (t) => {
  const { client } = await serve(t);
  const large = { typeUrl: "example.com/large", value: Buffer.alloc(700_000) };
  for (let index = 0; index < 5; index += 1) await client.put({ path: `/kube/large/${index}`, value: large }, {});
  const { rows, pages } = await listAll(client, "/kube/large");
  assert.deepEqual([rows.length, pages], [5, 3]);
});

test("a watch tells what becomes of the rows below its prefix, and nothing else", async (t) => {
  const { open, client } = await serve(t);
  await client.put({ path: "/kube/pods/redis", value: value("1") }, {});
  const stop = new AbortController();
  const watch = client.watch({ prefix: "/kube/pods", fromPosition: 0n }, { signal: stop.signal });
  await client.put({ path: "/kube/services/lb", value: value("x") }, {});
  await client.put({ path: "/kube/pods/redis", value: value("2") }, {});
  await client.delete({ path: "/kube/pods/redis" }, {});
  const changes: query.Change[] = [];
  for await (const response of watch) {
    changes.push(...response.changes);
    assert.equal(response.nextPosition, response.changes.at(-1)!.row!.position + 1n);
    if (changes.length === 3) break;
  }
  stop.abort();
  assert.deepEqual(
    changes.map(({ fact, ended, row }) => [
      fact,
      ended,
      row!.path,
      row!.position,
      row!.version,
      row!.entry?.value.toString(),
    ]),
    [
      ["EntryPut", false, "/kube/pods/redis", 1n, 0n, "1"],
      ["EntryPut", false, "/kube/pods/redis", 3n, 1n, "2"],
      ["EntryDeleted", true, "/kube/pods/redis", 4n, 2n, undefined],
    ],
  );
  assert.equal(changes[2]!.timeUnixNano, (await open.log.get(4)).time);
});

test("a watch of what is quiet tells how far it is", async (t) => {
  const { open, client } = await serve(t);
  const many = (round: number) =>
    Array.from({ length: SILENT_FACTS_MAX / 10 }, (_, index) => createImage("docker", `${round}-${index}`));
  for (let round = 0; round < 10; round += 1) await perform(open, ...many(round));
  for await (const { changes, nextPosition } of client.watch({ prefix: "/kube", fromPosition: 0n }, {})) {
    assert.deepEqual([changes, nextPosition >= BigInt(SILENT_FACTS_MAX)], [[], true]);
    break;
  }
});

test("a watch from beyond the log is refused", async (t) => {
  const { client } = await serve(t);
  assert.equal(await codeOf(client.watch({ prefix: "/", fromPosition: 100n }, {})), "OUT_OF_RANGE");
});

test("a watch joins a list of many pages: nothing is missed and nothing comes twice while others write", async (t) => {
  const { open, client } = await serve(t);
  const names = (round: number) =>
    Array.from({ length: 300 }, (_, index) => `${index % 3 === 0 ? "redis" : "other"}/${round}-${index}`);
  for (let round = 0; round < 3; round += 1)
    await perform(open, ...names(round).map((name) => createImage("docker", name)));

  // Writers that add, end and replace rows in other places than they were begun in, until the list is read and for a while beyond it.
  let listed = false;
  const writer = async (number: number) => {
    for (let turn = 0; turn < 40 || !listed; turn += 1) {
      const name = `redis/w${number}-${turn % 7}`;
      await perform(open, createImage("docker", name));
      await client.put({ path: `/docker/redis/w${number}`, value: value(String(turn)) }, {});
      await perform(
        open,
        deleteImage("docker", name),
        ...(turn % 5 === 0 ? [createImage("docker", `redis/kept${number}-${turn}`)] : []),
      );
    }
  };
  const writers = [0, 1, 2, 3].map(writer);
  const list = await listAll(client, "/docker", 50);
  listed = true;
  assert.ok(list.pages > 15, `${list.pages} pages`);

  const prefix = parsePrefix("/docker");
  const rows = new Map(list.rows.map((row) => [row.path, row]));
  const stop = new AbortController();
  const seen: bigint[] = [];
  const watching = (async () => {
    for await (const { changes } of client.watch(
      { prefix: "/docker", fromPosition: list.position },
      { signal: stop.signal },
    )) {
      for (const { row, ended } of changes) {
        seen.push(row!.position);
        const before = rows.get(row!.path);
        if (before !== undefined) assert.equal(row!.version, before.version + 1n, row!.path);
        if (ended) rows.delete(row!.path);
        else rows.set(row!.path, row!);
        if (row!.path === "/docker/the/end") return;
      }
    }
  })();
  await Promise.all(writers);
  await client.put({ path: "/docker/the/end", value: value("") }, {});
  await watching;
  stop.abort();

  const due: bigint[] = [];
  for await (const facts of open.log.read({ from: Number(list.position) })) {
    for (const fact of facts) if (prefix.matches(rowNameOf(fact)!)) due.push(BigInt(fact.position));
  }
  assert.ok(due.length > 500, `${due.length} changes`);
  assert.deepEqual(seen, due);
  const now = (await listAll(client, "/docker")).rows;
  assert.deepEqual(
    [...rows.values()].sort((a, b) => (a.path < b.path ? -1 : 1)),
    now.toSorted((a, b) => (a.path < b.path ? -1 : 1)),
  );
});

test("an entry is put on conditions of its version", async (t) => {
  const { client } = await serve(t);
  const path = "/kube/leader";
  await client.put({ path, value: value("a"), ifAbsent: true }, {});
  assert.equal(
    await messageOf(client.put({ path, value: value("b"), ifAbsent: true }, {})),
    'path "/kube/leader" is at version 0, not absent: failed precondition',
  );
  await client.put({ path, value: value("b"), ifVersion: 0n }, {});
  assert.equal(await codeOf(client.put({ path, value: value("c"), ifVersion: 0n }, {})), "FAILED_PRECONDITION");
  assert.equal(await codeOf(client.delete({ path, ifVersion: 0n }, {})), "FAILED_PRECONDITION");
  await client.delete({ path, ifVersion: 1n }, {});
  assert.equal(
    await messageOf(client.put({ path, value: value("c"), ifVersion: 1n }, {})),
    'path "/kube/leader" is absent, not at version 1: failed precondition',
  );
  assert.equal((await client.put({ path, value: value("c"), ifAbsent: true }, {})).row!.version, 3n);
  assert.equal((await client.put({ path, value: value("c") }, {})).row!.version, 3n);
});

test("what is no entry cannot be put or deleted by its path", async (t) => {
  const { open, client } = await serve(t);
  await perform(open, createImage("docker", "redis"));
  const { next } = open.ledger.view;
  const refused = [
    client.put({ path: "/docker/images/redis", value: value("") }, {}),
    client.delete({ path: "/docker/images/redis" }, {}),
    client.put({ path: "/docker", value: value("") }, {}),
    client.put({ path: "/docker/pods/redis" }, {}),
    client.put({ path: `/docker/${"n".repeat(1_025)}`, value: value("") }, {}),
    client.put({ path: "/docker/large", value: { typeUrl: "t", value: Buffer.alloc(1024 * 1024) } }, {}),
    client.get({ path: "/docker/images" }, {}),
  ];
  for (const each of refused) assert.equal(await codeOf(each), "INVALID_ARGUMENT");
  assert.equal(await codeOf(client.get({ path: "/docker/images/absent" }, {})), "NOT_FOUND");
  assert.equal(await codeOf(client.delete({ path: "/docker/absent" }, {})), "NOT_FOUND");
  assert.equal(open.ledger.view.next, next);
});

test("a client with a namespace keeps to it, unless it is root or names none", async (t) => {
  for (const uid of [1_000, 0]) {
    const { client } = await serve(t, uid);
    await client.put({ path: "/kube/pods/redis", value: value("") }, {});
    const other = { namespace: "docker" };
    const expected = uid === 0 ? "OK" : "PERMISSION_DENIED";
    for (const prefix of ["/", "/kube", "/kube/pods/redis", "/dock*"]) {
      assert.equal(await codeOf(client.list({ prefix }, other)), expected, `list ${prefix}`);
    }
    assert.equal(await codeOf(client.get({ path: "/kube/pods/redis" }, other)), expected);
    assert.equal(await codeOf(client.put({ path: "/kube/pods/redis", value: value("2") }, other)), expected);
    if (uid !== 0) assert.equal(await codeOf(client.watch({ prefix: "/" }, other)), expected);
    assert.equal(await codeOf(client.delete({ path: "/kube/pods/redis" }, other)), expected);
    assert.equal(await codeOf(client.list({ prefix: "/docker" }, other)), "OK");
    assert.equal(await codeOf(client.list({ prefix: "/" }, {})), "OK");
  }
});
