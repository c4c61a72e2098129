/**
 * A call as data, so that a failing sequence can be read: service, method and request. What differs from run to run stands in it by name:
 * `digest of NAME`, `data: NAME`, `THIS NAMESPACE`, `THE OTHER NAMESPACE` and `ROOTFS`.
 */
import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Connection } from "../../src/cli/client.ts";
import * as wire from "../../src/wire/mod.ts";

const services = {
  collection: wire.collection.CollectionDefinition,
  containers: wire.containers.ContainersDefinition,
  content: wire.content.ContentDefinition,
  diff: wire.diff.DiffDefinition,
  events: wire.events.EventsDefinition,
  images: wire.images.ImagesDefinition,
  leases: wire.leases.LeasesDefinition,
  namespaces: wire.namespaces.NamespacesDefinition,
  snapshots: wire.snapshots.SnapshotsDefinition,
  tasks: wire.tasks.TasksDefinition,
} as const;

export interface Command {
  /** Of a service, or one of those that take what a mount names. */
  readonly call: `${keyof typeof services}.${string}` | "write into a snapshot" | "diff snapshots";
  readonly request: object | readonly object[];
  readonly lease?: string | undefined;
}

/** Where a command is carried out. */
export interface Place {
  readonly connection: Connection;
  readonly namespace: string;
  readonly otherNamespace: string;
  /** Of one run, so that no other run's content has the same bytes. */
  readonly run: string;
  /** A directory that a container can run in. */
  readonly rootfs: string;
}

interface Keyed {
  readonly snapshotter: string;
  readonly key: string;
}

/** The bytes that NAME stands for. */
export const bytesOf = (name: string, run: string): Buffer => Buffer.from(`${name} of ${run}`);
export const digestOf = (name: string, run: string): string =>
  `sha256:${createHash("sha256").update(bytesOf(name, run)).digest("hex")}`;

type Method = (request: unknown) => Promise<unknown> | AsyncIterable<unknown>;

/** The reply, a stream's as a list; rejects when the daemon refuses. */
export async function perform({ call, request, lease }: Command, place: Place): Promise<unknown> {
  const { connection, namespace } = place;
  const headers = { namespace, ...(lease === undefined ? {} : { lease }) };
  const resolved = resolve(request, place);
  const { mounts } = connection.service(services.snapshots, headers);
  if (call === "write into a snapshot") {
    const { mounts: at } = await mounts(resolved as Keyed);
    // Only a bind mount's source is what the container would write to.
    if (at[0]?.options.includes("rw")) await writeFile(join(at[0].source, "written"), namespace);
    return undefined;
  }
  if (call === "diff snapshots") {
    const [left, right] = await Promise.all((resolved as readonly Keyed[]).map((key) => mounts(key)));
    return connection.service(services.diff, headers).diff({ left: left!.mounts, right: right!.mounts });
  }
  const [service, method] = call.split(".") as [keyof typeof services, string];
  const methods = connection.service(services[service], headers) as unknown as Readonly<Record<string, Method>>;
  const reply = methods[method]!(resolved);
  return Symbol.asyncIterator in reply ? Array.fromAsync(reply) : reply;
}

/** Puts in what stands in a request by name, in keys as in values. */
function resolve(value: unknown, place: Place): unknown {
  const { namespace, otherNamespace, run, rootfs } = place;
  if (typeof value === "string") {
    return value
      .replace(/digest of (\w+)/g, (_, name: string) => digestOf(name, run))
      .replace("THIS NAMESPACE", namespace)
      .replace("THE OTHER NAMESPACE", otherNamespace)
      .replace("ROOTFS", rootfs);
  }
  if (Array.isArray(value)) return value.map((each) => resolve(each, place));
  if (Buffer.isBuffer(value)) return Buffer.from(resolve(value.toString(), place) as string);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [
      resolve(key, place),
      key === "data" ? bytesOf(each as string, run) : resolve(each, place),
    ]),
  );
}
