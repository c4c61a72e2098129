import assert from "node:assert/strict";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { endpointOf, Launcher, launchDeadlineMs } from "../../src/tasks/launch.ts";
import { ShimConnection } from "../../src/tasks/shim-connection.ts";
import { ShimLog } from "../../src/tasks/shim-log.ts";
import { endShimProcesses, findShimProcesses, isShimOf } from "../../src/tasks/shim-process.ts";
import { Any, runc } from "../../src/wire/mod.ts";
import { coldShims, logger, openWorkshop, readText, shimBinary, shimsOf, specOf, type Workshop } from "./workshop.ts";

let workshop: Workshop;
before(async () => {
  workshop = await openWorkshop();
});
after(() => workshop.remove());

/** A shim that is a shell script. */
async function script(name: string, text: string): Promise<string> {
  const path = join(workshop.base, name);
  await writeFile(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  return path;
}

test("start answers with the address of a shim that listens, and delete with what it cleared away", async () => {
  const key = { namespace: workshop.namespace, id: "launch" };
  const bundle = await workshop.bundles.create(key, specOf(key, ["true"]).value);
  // Without a reader of its log a shim does not start.
  const log = new ShimLog(bundle, logger);
  const endpoint = await workshop.launcher.start(shimBinary, key, bundle, null);
  assert.match(endpoint.address, /^unix:\/\/\/run\/containerd\/s\/[0-9a-f]{64}$/);
  assert.equal(endpoint.version, 2);
  assert.equal(await readText(join(bundle, "address")), endpoint.address);
  const connection = await ShimConnection.dial(key, endpoint, new AbortController().signal);
  const { shimPid } = await connection.connect();
  assert.deepEqual(
    findShimProcesses(key, workshop.address).map(({ pid }) => pid),
    [shimPid],
  );
  assert.ok(isShimOf(shimPid, workshop.address));
  assert.ok(!isShimOf(shimPid, `${workshop.address}x`));
  connection.close();
  await endShimProcesses(key, workshop.address, (address) => address === endpoint.address);
  assert.equal(shimsOf(workshop.address).length, 1, "a shim that listens where it is spared stays");
  await endShimProcesses({ ...key, id: "launc" }, workshop.address, () => false);
  assert.equal(shimsOf(workshop.address).length, 1, "a shim of another task stays");
  await endShimProcesses(key, workshop.address, () => false);
  assert.deepEqual(shimsOf(workshop.address), []);
  await rm(endpoint.address.slice("unix://".length));
  // What the shim's Create would have written.
  await writeFile(join(bundle, "runtime"), "runc");
  const cleaned = await workshop.launcher.delete(shimBinary, key, bundle);
  assert.equal(cleaned.exitStatus, 137);
  assert.ok(cleaned.exitedAt! > 0n);
  log.close();
  await workshop.bundles.remove(key);
});

test("start gives a shim its flags, its environment and the options on standard input", async () => {
  const key = { namespace: workshop.namespace, id: "flags" };
  const bundle = await workshop.bundles.create(key, specOf(key, ["true"]).value);
  const binary = await script(
    "containerd-shim-flags-v1",
    'if [ "$1" = -v ]; then echo "  Version:  1.7.2"; exit; fi\necho "$@" > args; pwd > cwd; env > env; cat > stdin; echo unix:///somewhere',
  );
  const options = {
    typeUrl: "containerd.runc.v1.Options",
    value: runc.Options.encode(runc.Options.fromPartial({ shimCgroup: "/a" })).finish(),
  };
  assert.deepEqual(await workshop.launcher.start(binary, key, bundle, options), {
    address: "unix:///somewhere",
    version: 2,
  });
  const { address, ttrpcAddress } = workshop;
  assert.equal(
    await readText(join(bundle, "args")),
    `-namespace ${workshop.namespace} -address ${address} -publish-binary /bin/true -id flags start\n`,
  );
  assert.equal(await readText(join(bundle, "cwd")), `${bundle}\n`);
  const env = (await readText(join(bundle, "env"))).split("\n");
  for (const line of [
    `TTRPC_ADDRESS=${ttrpcAddress}`,
    `GRPC_ADDRESS=${address}`,
    `NAMESPACE=${workshop.namespace}`,
    "GOMAXPROCS=2",
    "MAX_SHIM_VERSION=2",
  ]) {
    assert.ok(env.includes(line), line);
  }
  const { typeUrl, value } = Any.decode(await readFile(join(bundle, "stdin")));
  assert.deepEqual([typeUrl, runc.Options.decode(value).shimCgroup], ["containerd.runc.v1.Options", "/a"]);
  await workshop.bundles.remove(key);
});

test("a shim that reads another message from standard input gets nothing there", async () => {
  const key = { namespace: workshop.namespace, id: "newer" };
  const bundle = await workshop.bundles.create(key, specOf(key, ["true"]).value);
  const binary = await script(
    "containerd-shim-newer-v1",
    'if [ "$1" = -v ]; then echo "  Version:  v2.4.0"; exit; fi\ncat > stdin; echo \'{"version":3,"address":"unix:///x","protocol":"ttrpc"}\'',
  );
  const options = { typeUrl: "containerd.runc.v1.Options", value: Buffer.from("x") };
  assert.deepEqual(await workshop.launcher.start(binary, key, bundle, options), { address: "unix:///x", version: 3 });
  assert.equal(await readText(join(bundle, "stdin")), "");
  await workshop.bundles.remove(key);
});

test("a start that fails tells all that the shim printed", async () => {
  const key = { namespace: workshop.namespace, id: "fails" };
  const bundle = await workshop.bundles.create(key, specOf(key, ["true"]).value);
  const binary = await script("containerd-shim-fails-v1", "echo out; echo err >&2; exit 3");
  await assert.rejects(workshop.launcher.start(binary, key, bundle, null), {
    class: "Unknown",
    message: "start failed: out\nerr: exit status 3",
  });
  await assert.rejects(workshop.launcher.start("/nonexistent", key, bundle, null), /start failed: .*ENOENT/);
  await workshop.bundles.remove(key);
});

test("a delete that hangs ends within its deadline, with all that it started", async () => {
  const key = { namespace: workshop.namespace, id: "hangs" };
  const bundle = await workshop.bundles.create(key, specOf(key, ["true"]).value);
  const binary = await script("containerd-shim-hangs-v1", "echo $$ > pid; sleep 1000");
  const launcher = new Launcher({
    address: workshop.address,
    ttrpcAddress: "",
    publishBinary: "/bin/true",
    own: coldShims(),
  });
  const began = Date.now();
  await assert.rejects(launcher.delete(binary, key, bundle), new RegExp(`no answer in ${launchDeadlineMs.delete} ms`));
  assert.ok(Date.now() - began < launchDeadlineMs.delete + 2_000);
  assert.deepEqual(shimsOf(workshop.address), []);
  await workshop.bundles.remove(key);
});

test("an answer that is no address of a protocol spoken here is refused", () => {
  assert.deepEqual(endpointOf("unix:///run/x"), { address: "unix:///run/x", version: 2 });
  assert.deepEqual(endpointOf('{"version":2,"address":"unix:///run/x","protocol":"ttrpc"}'), {
    address: "unix:///run/x",
    version: 2,
  });
  assert.throws(() => endpointOf(""), { class: "Unknown" });
  assert.throws(() => endpointOf("warning: x\nunix:///run/x"), { class: "Unknown" });
  assert.throws(() => endpointOf("{"), { class: "Unknown" });
  assert.throws(() => endpointOf('{"version":4,"address":"unix:///run/x","protocol":"ttrpc"}'), {
    class: "Unimplemented",
  });
  assert.throws(() => endpointOf('{"version":3,"address":"unix:///run/x","protocol":"grpc"}'), {
    class: "Unimplemented",
  });
});
