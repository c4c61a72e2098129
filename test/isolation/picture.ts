/** All that the clients of a namespace can see of it: every list, every byte, every fact. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import * as wire from "../../src/wire/mod.ts";
import type { Place } from "./command.ts";

const snapshotters = ["native", "overlayfs"];

/** Equal as long as nothing has changed in the namespace; facts are those from `from` on. */
export async function pictureOf({ connection, namespace }: Place, from: bigint) {
  const of = { namespace };
  const containers = connection.service(wire.containers.ContainersDefinition, of);
  const content = connection.service(wire.content.ContentDefinition, of);
  const images = connection.service(wire.images.ImagesDefinition, of);
  const leases = connection.service(wire.leases.LeasesDefinition, of);
  const tasks = connection.service(wire.tasks.TasksDefinition, of);
  const held = (await leases.list({})).leases;
  const blobs = (await Array.fromAsync(content.list({}))).flatMap(({ info }) => info);
  const bytes = async (digest: string) =>
    Buffer.concat((await Array.fromAsync(content.read({ digest }))).map(({ data }) => data)).toString();
  const { tasks: running } = await tasks.list({});
  return {
    namespace: await connection.service(wire.namespaces.NamespacesDefinition).get({ name: namespace }),
    containers: await containers.list({}),
    images: await images.list({}),
    leases: await Promise.all(
      held.map(async (lease) => ({ lease, ...(await leases.listResources({ id: lease.id })) })),
    ),
    content: await Promise.all(blobs.map(async (info) => ({ info, bytes: await bytes(info.digest) }))),
    ingests: await content.listStatuses({}),
    snapshots: await Promise.all(snapshotters.map((snapshotter) => snapshotsOf(connection, of, snapshotter))),
    tasks: await Promise.all(
      running.map(async ({ id }) => ({
        task: await tasks.get({ containerId: id }),
        processes: await tasks.listPids({ containerId: id }),
      })),
    ),
    facts: (await factsOf(connection, namespace, from)).map((fact) => ({ ...fact, data: fact.data.toString("hex") })),
  };
}

async function snapshotsOf({ service }: Place["connection"], of: { readonly namespace: string }, snapshotter: string) {
  const snapshots = service(wire.snapshots.SnapshotsDefinition, of);
  const infos = (await Array.fromAsync(snapshots.list({ snapshotter }))).flatMap(({ info }) => info);
  return Promise.all(
    infos.map(async (info) => {
      const key = { snapshotter, key: info.name };
      const committed = info.kind === wire.snapshots.Kind.COMMITTED;
      const mounts = committed ? [] : (await snapshots.mounts(key)).mounts;
      const files = await Promise.all(mounts.flatMap(directoriesOf).map(filesIn));
      return { info, usage: await snapshots.usage(key), mounts, files };
    }),
  );
}

/** Every directory that a mount shows something of. */
function directoriesOf({ type, source, options }: { type: string; source: string; options: readonly string[] }) {
  if (type !== "overlay") return [source];
  return options.flatMap((option) => /^(?:upperdir|lowerdir)=(.*)$/.exec(option)?.[1]?.split(":") ?? []);
}

async function filesIn(directory: string): Promise<readonly string[]> {
  const names = (await readdir(directory)).sort();
  return Promise.all(names.map(async (name) => `${name}: ${await readFile(join(directory, name), "utf8")}`));
}

async function factsOf({ service }: Place["connection"], namespace: string, from: bigint) {
  const { read } = service(wire.log.LogDefinition);
  return (await Array.fromAsync(read({ fromPosition: from, namespace }))).flatMap(({ facts }) => facts);
}
