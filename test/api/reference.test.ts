/** docs/reference/api.md says what is so: every RPC of every service in proto/, whether it is served, and each difference that the comparison accepts. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { Client, credentials, Metadata, status } from "@grpc/grpc-js";
import { TtrpcClient } from "../../src/shim/ttrpc/mod.ts";
import * as wire from "../../src/wire/mod.ts";
import { differences } from "../differential/differences.ts";
import { shiplogd } from "../harness/daemons.ts";

interface Entry {
  readonly rpc: string;
  readonly status: string;
  readonly how: string;
}

const words = ["served", "differs", "not served"];

/** No message of any type: a method that is served refuses to decode it, also where it would otherwise answer without end. */
const garbage = Buffer.from([0xff, 0xff, 0xff]);

/** The services that the daemon calls itself are the shims', not its own. */
const services = Object.values(wire)
  .flatMap((messages) => Object.values(messages as object))
  .filter(isDefinition)
  .filter(({ fullName }) => fullName !== wire.shim.TaskDefinition.fullName && fullName !== wire.shiplogShim.ShimDefinition.fullName);

const rpcs = services
  .flatMap(({ fullName, methods }) => Object.values(methods).map(({ name }) => `${fullName}/${name}`))
  .sort();

test("the API reference names every RPC once, and nothing else", async () => {
  const { entries } = await reference();
  assert.deepEqual(entries.map(({ rpc }) => rpc).sort(), rpcs);
});

test("the API reference says of every RPC whether it is served, and how one differs", async () => {
  const { entries } = await reference();
  assert.deepEqual(
    entries.filter(({ status }) => !words.includes(status)),
    [],
  );
  assert.deepEqual(
    entries.filter(({ status, how }) => status !== "served" && how === ""),
    [],
  );
});

test("an RPC answers UNIMPLEMENTED exactly when the API reference says that it is not served", async (t) => {
  const { entries } = await reference();
  const daemon = await shiplogd();
  t.after(() => daemon.dispose());
  await daemon.start();
  const client = new Client(`unix:${daemon.address}`, credentials.createInsecure());
  t.after(() => client.close());
  const unserved: string[] = [];
  for (const rpc of rpcs.filter((rpc) => !isTtrpc(rpc)))
    if ((await codeOf(client, rpc)) === status.UNIMPLEMENTED) unserved.push(rpc);
  const ttrpc = await TtrpcClient.connect(`unix://${daemon.address}.ttrpc`);
  t.after(() => ttrpc.close());
  await assert.rejects(
    ttrpc.call(wire.eventsTtrpc.EventsDefinition, "forward", wire.eventsTtrpc.ForwardRequest.fromPartial({})),
    { code: status.INVALID_ARGUMENT },
  );
  assert.deepEqual(
    entries
      .filter(({ status }) => status === "not served")
      .map(({ rpc }) => rpc)
      .sort(),
    unserved,
  );
});

test("the API reference tells every difference that the comparison accepts, and no other", async () => {
  const { named } = await reference();
  assert.deepEqual([...named].sort(), differences.map(({ name, reason }) => `${name}: ${reason}`).sort());
});

const isTtrpc = (rpc: string) => rpc.startsWith(`${wire.eventsTtrpc.EventsDefinition.fullName}/`);

function isDefinition(value: unknown): value is wire.ServiceDefinition {
  return typeof value === "object" && value !== null && "fullName" in value && "methods" in value;
}

/** Tables below a heading that is a service's name, and the table of the named differences. */
async function reference(): Promise<{ readonly entries: readonly Entry[]; readonly named: readonly string[] }> {
  const text = await readFile(new URL("../../docs/reference/api.md", import.meta.url), "utf8");
  const entries: Entry[] = [];
  const named: string[] = [];
  let heading = "";
  for (const line of text.split("\n")) {
    if (line.startsWith("## ")) heading = line.slice(3);
    const cells = /^\|(.*)\|$/
      .exec(line)?.[1]
      ?.split(/\|/)
      .map((cell) => cell.trim());
    if (cells === undefined || cells[0] === "RPC" || cells[0] === "name" || cells[0] === "---") continue;
    const [first = "", second = "", third = ""] = cells;
    if (heading === "Named differences") named.push(`${first}: ${second}`);
    else entries.push({ rpc: `${heading}/${first}`, status: second, how: third });
  }
  return { entries, named };
}

function codeOf(client: Client, rpc: string): Promise<number> {
  const same = (bytes: Buffer) => bytes;
  return new Promise((resolve) => {
    const call = client.makeBidiStreamRequest(`/${rpc}`, same, same, new Metadata());
    call.on("data", () => {});
    call.on("error", () => {});
    call.on("status", ({ code }) => resolve(code));
    call.end(garbage);
  });
}
