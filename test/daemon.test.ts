/** The daemon as a whole where no room has it alone: damage, a second daemon, restarts with the tables removed. */
import assert from "node:assert/strict";
import { open, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { connect } from "../src/cli/client.ts";
import { leases, log } from "../src/wire/mod.ts";
import { shiplogd } from "./harness/daemons.ts";

const FAILED_PRECONDITION = 9;

test("a daemon on a damaged log answers reads, names the damage, and refuses writes", async (t) => {
  const daemon = await shiplogd();
  t.after(() => daemon.dispose());
  await daemon.start();
  let connection = connect(daemon.address);
  const lease = (id: string) => connection.service(leases.LeasesDefinition, { namespace: "n" }).create({ id });
  for (let id = 0; id < 20; id += 1) await lease(`l${id}`);
  connection.close();
  await daemon.end("SIGTERM");

  const segments = (await readdir(join(daemon.paths.root, "log"))).filter((name) => name.endsWith(".log")).sort();
  const segment = join(daemon.paths.root, "log", segments[0]!);
  const file = await open(segment, "r+");
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, 1500);
  await file.write(Buffer.from([byte[0]! ^ 0x40]), 0, 1, 1500);
  await file.close();

  await daemon.start();
  connection = connect(daemon.address);
  t.after(async () => connection.close());
  const { leases: left } = await connection.service(leases.LeasesDefinition, { namespace: "n" }).list({});
  assert.ok(left.length > 0 && left.length < 20, `${left.length} leases before the damage are served`);
  await assert.rejects(lease("another"), (error: { code: number; details: string }) => {
    assert.equal(error.code, FAILED_PRECONDITION);
    assert.match(error.details, /\.log is damaged at offset \d+, position \d+/);
    return true;
  });
  const { problems } = await connection.service(log.LogDefinition).verify({});
  assert.ok(problems.some(({ file: named, offset }) => named === segment && offset > 0n));
  assert.match(await daemon.log(), /damaged at offset/);
});

test("a second daemon on the same root refuses to start and leaves the first one alone", async (t) => {
  const first = await shiplogd();
  t.after(() => first.dispose());
  await first.start();
  const second = await shiplogd(["--root", first.paths.root]);
  t.after(() => second.dispose());
  await assert.rejects(second.start(), /another process holds/);
  const connection = connect(first.address);
  await connection.service(leases.LeasesDefinition, { namespace: "n" }).create({ id: "one" });
  connection.close();
});

test("a daemon whose tables were removed starts with the same rows", async (t) => {
  const daemon = await shiplogd();
  t.after(() => daemon.dispose());
  await daemon.start();
  let connection = connect(daemon.address);
  for (let id = 0; id < 5; id += 1) await connection.service(leases.LeasesDefinition, { namespace: "n" }).create({ id: `l${id}` });
  const before = await connection.service(leases.LeasesDefinition, { namespace: "n" }).list({});
  connection.close();
  await daemon.end("SIGKILL");
  await rm(join(daemon.paths.root, "projections"), { recursive: true });
  await daemon.start();
  connection = connect(daemon.address);
  assert.deepEqual(await connection.service(leases.LeasesDefinition, { namespace: "n" }).list({}), before);
  assert.deepEqual((await connection.service(log.LogDefinition).verify({})).problems, []);
  connection.close();
});
