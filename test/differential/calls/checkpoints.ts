/**
 * Checkpoints of tasks and restores from them: by runc as it is on this machine, with criu or without it, and by a runtime that stands in for
 * one that can.
 */
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { containers, content, type Descriptor, leases, runc, tasks } from "../../../src/wire/mod.ts";
import { removeRuncTraces } from "../../harness/runc-traces.ts";
import { runtimeSpec } from "../../harness/spec.ts";
import { endShims } from "../../harness/traces.ts";
import { archive } from "../../snapshots/tar-builder.ts";
import type { Reply } from "../invoke.ts";
import { callsOf, type Memory, type Scenario } from "../scenario.ts";
import { mountsOf, preparingRoot } from "./root.ts";

const namespace = "api-checkpoints";
const call = callsOf(tasks.TasksDefinition, { namespace });
const container = callsOf(containers.ContainersDefinition, { namespace });
const lease = callsOf(leases.LeasesDefinition, { namespace });
const blob = callsOf(content.ContentDefinition, { namespace });

const binaryName = fileURLToPath(new URL("../../harness/runc-with-checkpoints.sh", import.meta.url));
const optionsUrl = "containerd.runc.v1.Options";
const checkpointUrl = "containerd.runc.v1.CheckpointOptions";
const options = (fields: Parameters<typeof runc.Options.fromPartial>[0]) => ({
  typeUrl: optionsUrl,
  value: Buffer.from(runc.Options.encode(runc.Options.fromPartial(fields)).finish()),
});
const checkpointOptions = (fields: Parameters<typeof runc.CheckpointOptions.fromPartial>[0]) => ({
  typeUrl: checkpointUrl,
  value: Buffer.from(runc.CheckpointOptions.encode(runc.CheckpointOptions.fromPartial(fields)).finish()),
});
const garbage = Buffer.from([0xff, 0xff, 0xff]);
const imagesType = "application/vnd.containerd.container.criu.checkpoint.criu.tar";

const create = (id: string, runtime: object = {}) =>
  container(`container ${id}`, "create", {
    container: {
      id,
      runtime: { name: "io.containerd.runc.v2", ...runtime },
      spec: runtimeSpec(["sleep", "1000"], { cgroup: `/${namespace}/${id}` }),
    },
  });
const task = (name: string, containerId: string, request: object | ((memory: Memory) => object) = {}, form = {}) =>
  call(
    name,
    "create",
    (memory) => ({
      containerId,
      rootfs: mountsOf(memory),
      ...(typeof request === "function" ? request(memory) : request),
    }),
    form,
  );
const of = (
  name: string,
  method: "start" | "delete" | "get" | "wait" | "pause" | "resume",
  containerId: string,
  form = {},
) => call(name, method, { containerId }, form);
const kill = (name: string, containerId: string) =>
  call(name, "kill", { containerId, signal: 9 }, { later: ["/tasks/exit"] });
const checkpoint = (name: string, containerId: string, request: object = {}, form = {}) =>
  call(name, "checkpoint", { containerId, ...request }, form);

const keepDescriptors = ({ messages }: Reply, kept: Map<string, unknown>) =>
  void kept.set("descriptors", (messages[0] as { descriptors: Descriptor[] } | undefined)?.descriptors ?? []);
const descriptorsOf = ({ kept }: Memory) => kept.get("descriptors") as Descriptor[];
const imagesOf = (memory: Memory) => descriptorsOf(memory)[0];
const infoOf = (what: string, index: number) =>
  blob(`info of ${what}`, "info", (memory) => ({ digest: descriptorsOf(memory)[index]?.digest ?? "" }));

const tar = archive({ name: "pages-1.img", content: "memory of another\n" });
const tarDigest = `sha256:${createHash("sha256").update(tar).digest("hex")}`;
const text = Buffer.from("no archive at all");
const textDigest = `sha256:${createHash("sha256").update(text).digest("hex")}`;
const kept = { "containerd.io/gc.root": "yes" };
const put = (ref: string, data: Buffer) =>
  blob(`content ${ref}`, "write", [{ action: content.WriteAction.COMMIT, ref, data, labels: kept }]);

async function clearAway(daemon: { readonly address: string }): Promise<void> {
  await endShims(daemon.address);
  await removeRuncTraces(namespace);
}

const here: Scenario = {
  name: "checkpoints by runc",
  calls: [
    ...preparingRoot(namespace, "root"),
    create("one"),
    checkpoint("without a task", "one"),
    task("create", "one", {}, { later: ["/tasks/create"] }),
    checkpoint("of what is created", "one"),
    of("start", "start", "one", { later: ["/tasks/start"] }),
    checkpoint("of what runs", "one"),
    checkpoint("with the task's end", "one", { options: checkpointOptions({ exit: true }) }),
    of("get after a checkpoint", "get", "one"),
    checkpoint("with options of another type", "one", { options: options({}) }),
    checkpoint("with options of no type", "one", { options: { typeUrl: "", value: garbage } }),
    checkpoint("with options of an unknown type", "one", { options: { typeUrl: "some.Type", value: garbage } }),
    checkpoint("with malformed options", "one", { options: { typeUrl: checkpointUrl, value: garbage } }),
    kill("kill", "one"),
    of("wait", "wait", "one"),
    checkpoint("of what is stopped", "one"),
    of("delete", "delete", "one", { later: ["/tasks/delete"] }),
    task("create with options of another type", "one", { options: checkpointOptions({}) }),
    task("create with options of an unknown type", "one", { options: { typeUrl: "some.Type", value: garbage } }),
    task("create with malformed options", "one", { options: { typeUrl: optionsUrl, value: garbage } }),
    task("create from no checkpoint", "one", { checkpoint: {} }),
    task("create from a checkpoint of an unknown type", "one", {
      checkpoint: { mediaType: "some/type", digest: tarDigest },
    }),
    task("create from a checkpoint that is not there", "one", {
      checkpoint: { mediaType: imagesType, digest: tarDigest },
    }),
    put("no checkpoint", text),
    task("create from what is no archive", "one", {
      checkpoint: { mediaType: imagesType, digest: textDigest, size: BigInt(text.length) },
    }),
    of("get what could not be created", "get", "one"),
  ],
  cleanUp: clearAway,
};

const standIn: Scenario = {
  name: "checkpoints by a stand-in",
  calls: [
    ...preparingRoot(namespace, "root-2"),
    create("two", { options: options({ binaryName }) }),
    task("create", "two", {}, { later: ["/tasks/create"] }),
    of("start", "start", "two", { later: ["/tasks/start"] }),
    of("pause", "pause", "two", { later: ["/tasks/paused"] }),
    lease("a lease", "create", { id: "kept" }),
    checkpoint("of what is paused", "two", {}, { keep: keepDescriptors, lease: "kept" }),
    lease("held by the lease", "listResources", { id: "kept" }),
    of("get after a checkpoint", "get", "two"),
    infoOf("the images", 0),
    infoOf("the spec", 1),
    checkpoint("of the same", "two"),
    call("into a directory", "checkpoint", ({ directory }) => ({
      containerId: "two",
      options: checkpointOptions({ imagePath: `${directory}/images` }),
    })),
    of("resume", "resume", "two", { later: ["/tasks/resumed"] }),
    checkpoint("of what runs", "two", { options: checkpointOptions({ imagePath: "/dev/null/images" }) }),
    call(
      "with the task's end",
      "checkpoint",
      ({ directory }) => ({
        containerId: "two",
        options: checkpointOptions({ imagePath: `${directory}/images`, exit: true }),
      }),
      { later: ["/tasks/exit"] },
    ),
    of("wait", "wait", "two"),
    of("delete", "delete", "two", { later: ["/tasks/delete"] }),
    task("restore", "two", (memory) => ({ checkpoint: imagesOf(memory) }), { later: ["/tasks/create"] }),
    of("get what is to be restored", "get", "two"),
    checkpoint("of what is to be restored", "two"),
    of("start what is restored", "start", "two", { later: ["/tasks/start"] }),
    of("get what is restored", "get", "two"),
    kill("kill what is restored", "two"),
    of("wait for what is restored", "wait", "two"),
    of("delete what was restored", "delete", "two", { later: ["/tasks/delete"] }),
    task(
      "restore from a directory",
      "two",
      ({ directory }) => ({ options: options({ binaryName, criuImagePath: `${directory}/images` }) }),
      {
        later: ["/tasks/create"],
      },
    ),
    of("start from a directory", "start", "two", { later: ["/tasks/start"] }),
    kill("kill what is restored from a directory", "two"),
    of("wait for what is restored from a directory", "wait", "two"),
    of("delete what was restored from a directory", "delete", "two", { later: ["/tasks/delete"] }),
    put("another checkpoint", tar),
    task(
      "restore from what cannot be",
      "two",
      { checkpoint: { mediaType: imagesType, digest: tarDigest, size: BigInt(tar.length) } },
      { later: ["/tasks/create"] },
    ),
    of("start what cannot be restored", "start", "two"),
    of("get what cannot be restored", "get", "two"),
    of("delete what cannot be restored", "delete", "two", { later: ["/tasks/delete"] }),
  ],
  cleanUp: clearAway,
};

export const scenarios: readonly Scenario[] = [here, standIn];
