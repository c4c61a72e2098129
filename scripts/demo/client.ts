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

export interface RunOptions {
  readonly id: string;
  readonly image: Image;
  readonly args: readonly string[];
  /** File that both output streams are appended to. */
  readonly output: string;
  /** Where runc keeps its state. */
  readonly runcRoot: string;
}

export class DemoClient {
  readonly #connection: Connection;
  readonly #namespace: string;

  constructor(connection: Connection, namespace: string) {
    this.#connection = connection;
    this.#namespace = namespace;
  }

  #service<D extends Parameters<Connection["service"]>[0]>(definition: D, lease?: string): ServiceClient<D> {
    return this.#connection.service(definition, {
      namespace: this.#namespace,
      ...(lease === undefined ? {} : { lease }),
    });
  }

  /** Writes the image's blobs, unpacks its layer into a committed snapshot, and gives the image its name. */
  async putImage(image: Image): Promise<void> {
    const leases = this.#service(LeasesDefinition);
    const lease = (await leases.create({ id: "demo-image" })).lease!.id;
    const content = this.#service(ContentDefinition, lease);
    for (const blob of [image.layer, image.config, image.manifest]) await writeBlob(content, blob);

    const snapshots = this.#service(SnapshotsDefinition, lease);
    const key = `extract ${image.diffId}`;
    const { mounts } = await snapshots.prepare({ snapshotter, key });
    const { applied } = await this.#service(DiffDefinition, lease).apply({ diff: descriptor(image.layer), mounts });
    if (applied?.digest !== image.diffId)
      throw new Error(`the layer unpacked to ${applied?.digest}, not to ${image.diffId}`);
    await snapshots.commit({ snapshotter, key, name: image.diffId });

    await this.#service(ImagesDefinition).create({ image: { name: image.name, target: descriptor(image.manifest) } });
    await leases.delete({ id: lease });
  }

  /** Creates and starts a container on a snapshot of its own. */
  async run({ id, image, args, output, runcRoot }: RunOptions): Promise<void> {
    // Until the container is there, only a lease keeps its snapshot from being collected.
    const leases = this.#service(LeasesDefinition);
    const lease = (await leases.create({ id: `demo-${id}` })).lease!.id;
    const { mounts } = await this.#service(SnapshotsDefinition, lease).prepare({
      snapshotter,
      key: id,
      parent: image.diffId,
    });
    const options = Buffer.from(Options.encode(Options.fromPartial({ root: runcRoot })).finish());
    const spec = Buffer.from(JSON.stringify(runtimeSpec(id, args)));
    await this.#service(ContainersDefinition).create({
      container: {
        id,
        image: image.name,
        runtime: { name: "io.containerd.runc.v2", options: { typeUrl: "containerd.runc.v1.Options", value: options } },
        spec: { typeUrl: "types.containerd.io/opencontainers/runtime-spec/1/Spec", value: spec },
        snapshotter,
        snapshotKey: id,
      },
    });
    await leases.delete({ id: lease });
    const tasks = this.#service(TasksDefinition);
    await tasks.create({ containerId: id, rootfs: mounts, stdout: `file://${output}`, stderr: `file://${output}` });
    await tasks.start({ containerId: id });
  }

  /** Resolves with the exit status, at once when it has exited already: 128 + n after death by signal n. */
  async exited(id: string): Promise<number> {
    return (await this.#service(TasksDefinition).wait({ containerId: id })).exitStatus;
  }

  async kill(id: string, signal: number): Promise<void> {
    await this.#service(TasksDefinition).kill({ containerId: id, signal });
  }

  /** Removes an exited container's task, its snapshot and its record, in this order: what no record names is collected at any moment. */
  async remove(id: string): Promise<void> {
    await this.#service(TasksDefinition).delete({ containerId: id });
    await this.#service(SnapshotsDefinition).remove({ snapshotter, key: id });
    await this.#service(ContainersDefinition).delete({ id });
  }
}

async function writeBlob(
  content: ServiceClient<typeof ContentDefinition>,
  { digest, content: data, labels }: Blob,
): Promise<void> {
  const request = {
    action: WriteAction.COMMIT,
    ref: `demo-${digest}`,
    total: data.length,
    expected: digest,
    data,
    labels,
  };
  for await (const response of content.write([request])) {
    if (response.offset !== BigInt(data.length))
      throw new Error(`${digest}: ${response.offset} of ${data.length} bytes arrived`);
    return;
  }
}
