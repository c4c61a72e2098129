/** Collections as users of a real daemon see them. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { connect, type Connection } from "../../src/cli/client.ts";
import { decode, Fields } from "../../src/cli/render/fields.ts";
import { events, log } from "../../src/wire/mod.ts";
import { shiplogd, type TestDaemon } from "../harness/daemons.ts";
import { eventually, within } from "../harness/eventually.ts";
import { Client, digestOf } from "./remains.ts";

const program = join(fileURLToPath(new URL("../../bin", import.meta.url)), "shiplog");

describe("collections", () => {
  let daemon: TestDaemon;
  let connection: Connection;
  let client: Client;

  before(async () => {
    daemon = await shiplogd();
    await daemon.start();
    connection = connect(daemon.address);
    client = new Client(daemon.address, "gc");
  });

  after(async () => {
    client.close();
    connection.close();
    await daemon.dispose();
  });

  const facts = async (stream: string) =>
    (await Array.fromAsync(connection.service(log.LogDefinition).read({ namespace: "gc", stream }))).flatMap(
      (response) => response.facts,
    );

  const shiplog = (...args: string[]): Promise<string> =>
    new Promise((resolve, reject) => {
      const env = { PATH: process.env.PATH!, CONTAINERD_ADDRESS: daemon.address };
      execFile(program, args, { env, timeout: 60_000 }, (error, stdout) =>
        error === null ? resolve(stdout) : reject(error),
      );
    });

  it("expire a lease on an idle daemon within a second of its time, with what only it held", async () => {
    const expiry = Date.now() + 1_500;
    await client.lease("short", { "containerd.io/gc.expire": new Date(expiry).toISOString() });
    const digest = await client.blob("short-lived", {}, "short");
    const expired = (await eventually("the lease's last fact", async () => {
      const found = (await facts("lease/short")).find(({ type }) => type === "LeaseExpired");
      return found;
    }))!;
    const lateMs = Number(expired.timeUnixNano / 1_000_000n) - expiry;
    assert.ok(lateMs >= 0 && lateMs < 1_000, `${lateMs} ms after its time`);
    const [collected] = (await facts("collection/gc")).filter(({ position }) => position === expired.cause);
    const removed = new Fields(decode(collected!.data)).list("removed").map((entry) => new Fields(entry));
    assert.deepEqual(
      removed.map((entry) => [entry.text("kind"), entry.text("key"), entry.text("reason")]),
      [
        ["lease", "short", `expired at ${new Date(expiry).toISOString()}`],
        ["blob", digest, `held only by lease short, which expired at ${new Date(expiry).toISOString()}`],
      ],
    );
    assert.equal((await facts(`blob/${digest}`)).at(-1)!.cause, expired.cause);
  });

  it("run by themselves after a deletion", async () => {
    await client.lease("held");
    const digest = await client.blob("held by a lease", {}, "held");
    await client.deleteLease("held");
    await eventually("the blob goes", async () => ((await client.remains()).blobs.includes(digest) ? undefined : true));
  });

  it("are explained by a dry run that changes nothing, and made when asked for", async () => {
    const digest = await client.blob("nobody's");
    const short = digest.slice(0, "sha256:".length + 12);
    const line = new RegExp(`^gc +blob +${short} +no lease, image, container or label refers to it$`, "m");
    const explained = await shiplog("gc", "--dry-run");
    assert.match(explained, line);
    assert.match(explained, /^1 object would be removed$/m);
    assert.equal(await client.read(digest), "nobody's");
    const done = await shiplog("gc");
    assert.match(done, line);
    assert.match(done, /^1 object removed$/m);
    assert.match(await shiplog("gc"), /^nothing is unreachable$/m);
    assert.match(await shiplog("history", "-n", "gc", "collection/gc"), /GarbageCollected +1 removed/);
  });

  it("are told to no subscriber, as containerd's are not", async () => {
    const ended = new AbortController();
    const topics: string[] = [];
    const subscribed = (async () => {
      const stream = connection
        .service(events.EventsDefinition)
        .subscribe({ filters: ["namespace==gc"] }, { signal: ended.signal });
      for await (const { topic } of stream) topics.push(topic);
    })().catch(() => {});
    // A subscription is never acknowledged: it is there once an image is told of.
    await eventually("the subscription", async () => {
      await client.image("probe", digestOf("x"));
      await client.deleteImage("probe");
      return topics.length > 0 ? true : undefined;
    });
    await client.prepare("loose");
    await client.blob("loose");
    await shiplog("gc");
    await client.image("last", digestOf("x"));
    await eventually("everything is told", () =>
      topics.filter((topic) => topic === "/images/create").length >
      topics.filter((topic) => topic === "/images/delete").length
        ? true
        : undefined,
    );
    ended.abort();
    await within("the subscription ends", 5_000, subscribed);
    assert.deepEqual(new Set(topics), new Set(["/images/create", "/images/delete", "/snapshot/prepare"]));
    assert.deepEqual((await client.remains()).snapshots, []);
  });
});
