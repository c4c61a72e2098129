/** Paths on a daemon that is killed: what clients keep there, and watches that go on. */
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { namespaces, query } from "../../src/wire/mod.ts";
import { shiplogd } from "../harness/daemons.ts";
import { codeOf, messageOf, serviceClient } from "../harness/grpc-client.ts";

const value = (text: string) => ({ typeUrl: "example.com/text", value: Buffer.from(text) });

test("a watch goes on where it was, and entries are there, after the daemon was killed and its tables removed", async (t) => {
  const daemon = await shiplogd();
  t.after(() => daemon.dispose());
  await daemon.start();
  const put = async (path: string, text: string) => {
    const client = serviceClient(query.QueryDefinition, daemon.address);
    await client.put({ path, value: value(text) }, {});
    client.close();
  };
  const take = async (fromPosition: bigint, count: number) => {
    const client = serviceClient(query.QueryDefinition, daemon.address);
    const changes: query.Change[] = [];
    let next = fromPosition;
    for await (const { changes: some, nextPosition } of client.watch({ prefix: "/kube/services", fromPosition }, {})) {
      changes.push(...some);
      next = nextPosition;
      if (changes.length >= count) break;
    }
    client.close();
    return { told: changes.map(({ row }) => `${row!.path} ${row!.version} ${row!.entry!.value}`), next };
  };

  await put("/kube/services/lb", "1");
  await put("/kube/pods/redis", "1");
  const before = await take(0n, 1);
  assert.deepEqual(before.told, ["/kube/services/lb 0 1"]);
  await put("/kube/services/lb", "2");
  await daemon.end("SIGKILL");
  await rm(join(daemon.paths.root, "projections"), { recursive: true });
  await daemon.start();
  await put("/kube/services/lb", "3");
  const after = await take(before.next, 2);
  assert.deepEqual(after.told, ["/kube/services/lb 1 2", "/kube/services/lb 2 3"]);

  const client = serviceClient(query.QueryDefinition, daemon.address);
  t.after(() => client.close());
  const { rows } = await client.list({ prefix: "/kube" }, {});
  assert.deepEqual(
    rows.map(({ path, version }) => `${path} ${version}`),
    ["/kube/pods/redis 0", "/kube/services/lb 2", "/kube/namespaces/kube 0"],
  );
});

test("a namespace in which a client keeps something is not empty", async (t) => {
  const daemon = await shiplogd();
  t.after(() => daemon.dispose());
  await daemon.start();
  const client = serviceClient(query.QueryDefinition, daemon.address);
  t.after(() => client.close());
  const admin = serviceClient(namespaces.NamespacesDefinition, daemon.address);
  t.after(() => admin.close());
  await client.put({ path: "/kube/services/lb", value: value("1") }, {});
  assert.equal(
    await messageOf(admin.delete({ name: "kube" }, {})),
    'namespace "kube" must be empty, but it still has entries: failed precondition',
  );
  await client.delete({ path: "/kube/services/lb" }, {});
  assert.equal(await codeOf(admin.delete({ name: "kube" }, {})), "OK");
});
