/**
 * What any containerd client does to put in an image and to run a container, over gRPC. Owns the order of the calls; it knows nothing
 * of shiplog that containerd would not serve as well.
 */
import { ContainersDefinition } from "../../src/wire/gen/containerd/services/containers/v1/containers.ts";
import { ContentDefinition, WriteAction } from "../../src/wire/gen/containerd/services/content/v1/content.ts";
import { DiffDefinition } from "../../src/wire/gen/containerd/services/diff/v1/diff.ts";
import { ImagesDefinition } from "../../src/wire/gen/containerd/services/images/v1/images.ts";
import { LeasesDefinition } from "../../src/wire/gen/containerd/services/leases/v1/leases.ts";
import { SnapshotsDefinition } from "../../src/wire/gen/containerd/services/snapshots/v1/snapshots.ts";
import { TasksDefinition } from "../../src/wire/gen/containerd/services/tasks/v1/tasks.ts";
import { Options } from "../../src/wire/gen/containerd/runc/v1/options.ts";
import type { Connection, ServiceClient } from "../../src/cli/client.ts";
import { type Blob, descriptor, type Image } from "./image.ts";
import { runtimeSpec } from "./spec.ts";

export const snapshotter = "overlayfs";

/** Writes the image's blobs, unpacks its layer into a committed snapshot, and gives the image its name. */
export async function putImage(connection: Connection, namespace: string, image: Image): Promise<void> {
  const leases = connection.service(LeasesDefinition, { namespace });
  const lease = (await leases.create({ id: "demo-image" })).lease!.id;
  const content = connection.service(ContentDefinition, { namespace, lease });
  const snapshots = connection.service(SnapshotsDefinition, { namespace, lease });

  for (const blob of [image.layer, image.config, image.manifest]) await writeBlob(content, blob);

  const key = `extract ${image.diffId}`;
  const { mounts } = await snapshots.prepare({ snapshotter, key });
  const { applied } = await connection.service(DiffDefinition, { namespace, lease }).apply({ diff: descriptor(image.layer), mounts });
  if (applied?.digest !== image.diffId) throw new Error(`the layer unpacked to ${applied?.digest}, not to ${image.diffId}`);
  await snapshots.commit({ snapshotter, key, name: image.diffId });

  await connection.service(ImagesDefinition, { namespace }).create({ image: { name: image.name, target: descriptor(image.manifest) } });
  await leases.delete({ id: lease });
}

async function writeBlob(content: ServiceClient<typeof ContentDefinition>, { digest, content: data, labels }: Blob): Promise<void> {
  const request = { action: WriteAction.COMMIT, ref: `demo-${digest}`, total: data.length, expected: digest, data, labels };
  for await (const response of content.write([request])) {
    if (response.offset !== BigInt(data.length)) throw new Error(`${digest}: ${response.offset} of ${data.length} bytes arrived`);
    return;
  }
}

export interface RunOptions {
  readonly id: string;
  readonly image: Image;
  readonly args: readonly string[];
  /** File that both output streams are appended to. */
  readonly output: string;
  /** Where runc keeps its state. */
  readonly runcRoot: string;
}

export interface RunningContainer {
  readonly pid: number;
  /** Exit status: 128 + n after death by signal n. */
  readonly exited: Promise<number>;
  kill(signal: number): Promise<void>;
  /** Removes the task, the container and its snapshot; only once it has exited. */
  remove(): Promise<void>;
}

/** Creates and starts a container on a snapshot of its own. */
export async function runContainer(connection: Connection, namespace: string, options: RunOptions): Promise<RunningContainer> {
  const { id, image, args, output } = options;
  const snapshots = connection.service(SnapshotsDefinition, { namespace });
  const containers = connection.service(ContainersDefinition, { namespace });
  const tasks = connection.service(TasksDefinition, { namespace });

  const { mounts } = await snapshots.prepare({ snapshotter, key: id, parent: image.diffId });
  const runcOptions = Buffer.from(Options.encode(Options.fromPartial({ root: options.runcRoot })).finish());
  await containers.create({
    container: {
      id,
      image: image.name,
      runtime: { name: "io.containerd.runc.v2", options: { typeUrl: "containerd.runc.v1.Options", value: runcOptions } },
      spec: {
        typeUrl: "types.containerd.io/opencontainers/runtime-spec/1/Spec",
        value: Buffer.from(JSON.stringify(runtimeSpec(id, args))),
      },
      snapshotter,
      snapshotKey: id,
    },
  });
  const { pid } = await tasks.create({ containerId: id, rootfs: mounts, stdout: `file://${output}`, stderr: `file://${output}` });
  // Asked for before the start, so that no exit is too early to be seen.
  const exited = tasks.wait({ containerId: id }).then(({ exitStatus }) => exitStatus);
  // The failure belongs to whoever awaits it; until then it must not count as unhandled.
  exited.catch(() => undefined);
  await tasks.start({ containerId: id });
  return {
    pid,
    exited,
    kill: async (signal) => {
      await tasks.kill({ containerId: id, signal });
    },
    remove: async () => {
      await tasks.delete({ containerId: id });
      await containers.delete({ id });
      await snapshots.remove({ snapshotter, key: id });
    },
  };
}
