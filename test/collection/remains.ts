/** A daemon's objects as clients make and list them, for tests of what a collection leaves. */
import { createHash } from "node:crypto";
import { connect, type Connection, type Headers } from "../../src/cli/client.ts";
import { containers, content, images, leases, namespaces, runc, snapshots } from "../../src/wire/mod.ts";

export type Labels = Readonly<Record<string, string>>;

/** The snapshotter that works wherever the test runs. */
export const snapshotter = "native";

export class Client {
  readonly #connection: Connection;
  readonly #namespace: string;

  constructor(address: string, namespace: string) {
    this.#connection = connect(address);
    this.#namespace = namespace;
  }

  close(): void {
    this.#connection.close();
  }

  #headers(lease?: string): Headers {
    return { namespace: this.#namespace, ...(lease === undefined ? {} : { lease }) };
  }

  /** Commits the text as a blob; returns its digest. */
  async blob(text: string, labels: Labels = {}, lease?: string): Promise<string> {
    const data = Buffer.from(text);
    const expected = digestOf(text);
    const { write } = this.#connection.service(content.ContentDefinition, this.#headers(lease));
    const message = {
      action: content.WriteAction.COMMIT,
      ref: `${lease ?? ""} ${text}`,
      total: BigInt(data.length),
      expected,
      offset: 0n,
      data,
      labels,
    };
    await Array.fromAsync(write([message]));
    return expected;
  }

  /** Begins an upload and leaves it unfinished. */
  async upload(ref: string, lease?: string): Promise<void> {
    const { write } = this.#connection.service(content.ContentDefinition, this.#headers(lease));
    await Array.fromAsync(write([{ action: content.WriteAction.WRITE, ref, offset: 0n, data: Buffer.from("part") }]));
  }

  async image(name: string, digest: string, labels: Labels = {}): Promise<void> {
    const target = { mediaType: "application/vnd.oci.image.manifest.v1+json", digest, size: 1n };
    await this.#connection
      .service(images.ImagesDefinition, this.#headers())
      .create({ image: { name, target, labels } });
  }

  async deleteImage(name: string, sync = false): Promise<void> {
    await this.#connection.service(images.ImagesDefinition, this.#headers()).delete({ name, sync });
  }

  async lease(id: string, labels: Labels = {}): Promise<void> {
    await this.#connection.service(leases.LeasesDefinition, this.#headers()).create({ id, labels });
  }

  async deleteLease(id: string, sync = false): Promise<void> {
    await this.#connection.service(leases.LeasesDefinition, this.#headers()).delete({ id, sync });
  }

  async hold(id: string, type: string, held: string): Promise<void> {
    await this.#connection
      .service(leases.LeasesDefinition, this.#headers())
      .addResource({ id, resource: { type, id: held } });
  }

  async prepare(key: string, parent = "", labels: Labels = {}, lease?: string): Promise<void> {
    await this.#connection
      .service(snapshots.SnapshotsDefinition, this.#headers(lease))
      .prepare({ snapshotter, key, parent, labels });
  }

  async view(key: string, parent: string, lease?: string): Promise<void> {
    await this.#connection
      .service(snapshots.SnapshotsDefinition, this.#headers(lease))
      .view({ snapshotter, key, parent });
  }

  async commit(key: string, name: string, labels: Labels = {}, lease?: string): Promise<void> {
    await this.#connection
      .service(snapshots.SnapshotsDefinition, this.#headers(lease))
      .commit({ snapshotter, key, name, labels });
  }

  async removeSnapshot(key: string): Promise<void> {
    await this.#connection.service(snapshots.SnapshotsDefinition, this.#headers()).remove({ snapshotter, key });
  }

  /** Where the content of an active snapshot without a parent is. */
  async directoryOf(key: string): Promise<string> {
    const { mounts } = await this.#connection
      .service(snapshots.SnapshotsDefinition, this.#headers())
      .mounts({ snapshotter, key });
    return mounts[0]!.source;
  }

  /** Whether the daemon says how to mount it. */
  async isMountable(key: string): Promise<boolean> {
    const { mounts } = await this.#connection
      .service(snapshots.SnapshotsDefinition, this.#headers())
      .mounts({ snapshotter, key });
    return mounts.length > 0;
  }

  /** `root`: where runc is to keep the states of its tasks. */
  async container(id: string, snapshotKey: string, labels: Labels = {}, root = ""): Promise<void> {
    const spec = { typeUrl: "types.containerd.io/opencontainers/runtime-spec/1/Spec", value: Buffer.from("{}") };
    const value = Buffer.from(runc.Options.encode(runc.Options.fromPartial({ root })).finish());
    const runtime = { name: "io.containerd.runc.v2", options: { typeUrl: "containerd.runc.v1.Options", value } };
    const container = { id, runtime, spec, snapshotter, snapshotKey, labels };
    await this.#connection.service(containers.ContainersDefinition, this.#headers()).create({ container });
  }

  async deleteContainer(id: string): Promise<void> {
    await this.#connection.service(containers.ContainersDefinition, this.#headers()).delete({ id });
  }

  async deleteBlob(digest: string): Promise<void> {
    await this.#connection.service(content.ContentDefinition, this.#headers()).delete({ digest });
  }

  /** The bytes of a blob, as text. */
  async read(digest: string): Promise<string> {
    const { read } = this.#connection.service(content.ContentDefinition, this.#headers());
    return Buffer.concat((await Array.fromAsync(read({ digest }))).map(({ data }) => data)).toString();
  }

  async deleteNamespace(): Promise<void> {
    await this.#connection.service(namespaces.NamespacesDefinition).delete({ name: this.#namespace });
  }

  /** The names of all that may be collected, by kind. */
  async remains(): Promise<
    Readonly<Record<"blobs" | "images" | "ingests" | "leases" | "snapshots", readonly string[]>>
  > {
    const headers = this.#headers();
    const contents = this.#connection.service(content.ContentDefinition, headers);
    const infos = (await Array.fromAsync(contents.list({}))).flatMap(({ info }) => info);
    const { statuses } = await contents.listStatuses({});
    const { images: named } = await this.#connection.service(images.ImagesDefinition, headers).list({});
    const { leases: held } = await this.#connection.service(leases.LeasesDefinition, headers).list({});
    const layers = (
      await Array.fromAsync(this.#connection.service(snapshots.SnapshotsDefinition, headers).list({ snapshotter }))
    ).flatMap(({ info }) => info);
    return {
      blobs: infos.map(({ digest }) => digest).sort(),
      images: named.map(({ name }) => name).sort(),
      ingests: statuses.map(({ ref }) => ref).sort(),
      leases: held.map(({ id }) => id).sort(),
      snapshots: layers.map(({ name }) => name).sort(),
    };
  }
}

export const digestOf = (text: string): string => `sha256:${createHash("sha256").update(text).digest("hex")}`;
