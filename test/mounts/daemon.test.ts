/** Types that only a program of the configuration can mount, through a real daemon: layers, and a container's root. */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { containers, diff, TaskStatus, tasks } from "../../src/wire/mod.ts";
import { eventually } from "../harness/eventually.ts";
import { messageOf } from "../harness/grpc-client.ts";
import { Harbour } from "../harness/harbour.ts";
import { runtimeSpec } from "../harness/spec.ts";
import { mountsBelow } from "../harness/traces.ts";

let harbour: Harbour;
let work: string;
before(async () => {
  work = await mkdtemp(join(tmpdir(), "shiplog-mounters-"));
  const program = join(work, "mount.mirror");
  // What a snapshotter of its own might describe: here the same tree once more.
  writeFileSync(
    program,
    '#!/bin/sh\n[ -d "$1" ] || { echo "no tree $1" >&2; exit 32; }\nexec mount --bind "$1" "$2"\n',
  );
  chmodSync(program, 0o755);
  harbour = await Harbour.open("mounters", {
    snapshotter: "native",
    configuration: `[mounters.mirror]\ncommand = "${program}"\n`,
  });
});
after(async () => {
  await harbour?.dispose();
  await rm(work, { recursive: true });
});

const headers = () => ({ namespace: harbour.namespace });
const held = () => mountsBelow(join(harbour.daemon.paths.state, "volumes"));

test("a container's root of a type of the configuration is mounted by the daemon, and undone when its task has ended", async () => {
  await harbour.ctr(
    "run",
    "-d",
    "--null-io",
    "--snapshotter",
    "native",
    "example.test/busybox:1",
    "model",
    "sleep",
    "1000",
  );
  const [model] = (await harbour.snapshots.mounts({ snapshotter: "native", key: "model" })).mounts;
  const mirror = { type: "mirror", source: model!.source, target: "", options: [] };
  await harbour.connection.service(containers.ContainersDefinition, headers()).create({
    container: {
      id: "mirrored",
      runtime: { name: "io.containerd.runc.v2" },
      spec: runtimeSpec(["sh", "-c", "echo seen > /tmp/seen; sleep 1000"]),
      snapshotter: "native",
      snapshotKey: "model",
    },
  });
  const service = () => harbour.connection.service(tasks.TasksDefinition, headers());
  await service().create({ containerId: "mirrored", rootfs: [mirror] });
  await service().start({ containerId: "mirrored" });
  const seen = () => harbour.exec("model", "cat", "/tmp/seen").catch(() => "");
  await eventually("the program's tree is the root", async () => ((await seen()) === "seen\n" ? true : undefined));
  assert.equal((await held()).length, 1);
  await harbour.kill();
  await harbour.start();
  assert.equal(await harbour.status("mirrored"), TaskStatus.RUNNING);
  assert.equal((await held()).length, 1, "it is needed still");
  await harbour.remove("mirrored");
  await eventually("it is undone", async () => ((await held()).length === 0 ? true : undefined));

  await harbour.remove("model");
  await harbour.connection.service(containers.ContainersDefinition, headers()).create({
    container: { id: "broken", runtime: { name: "io.containerd.runc.v2" }, spec: runtimeSpec(["true"]) },
  });
  const rootfs = [{ ...mirror, source: join(work, "nothing") }];
  const failing = service().create({ containerId: "broken", rootfs });
  assert.match(await messageOf(failing), /no tree .*nothing/);
  await eventually("nothing is left", async () => ((await held()).length === 0 ? true : undefined));
  await harbour.ctr("containers", "rm", "broken");
  await harbour.isSound();
});

test("layers are compared through it", async () => {
  mkdirSync(join(work, "tree"));
  writeFileSync(join(work, "tree", "file"), "content");
  const service = harbour.connection.service(diff.DiffDefinition, headers());
  const right = [{ type: "mirror", source: join(work, "tree"), target: "", options: [] }];
  const { diff: made } = await service.diff({ left: [], right, mediaType: "application/vnd.oci.image.layer.v1.tar" });
  const bind = [{ type: "bind", source: join(work, "tree"), target: "", options: ["rbind", "ro"] }];
  const { diff: same } = await service.diff({
    left: [],
    right: bind,
    mediaType: "application/vnd.oci.image.layer.v1.tar",
  });
  assert.equal(made!.digest, same!.digest);
  const unknown = service.diff({ left: [], right: [{ type: "unheard-of", source: "s", target: "", options: [] }] });
  assert.match(await messageOf(unknown), /no mounter for type 'unheard-of'; there are those for .*mirror/);
});
