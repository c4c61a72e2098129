/** Another process's Snapshots service as the snapshotters see it. Owns the messages and how long an answer may take. */
import { connect } from "../cli/client.ts";
import type { RemoteInfo, RemoteSnapshots } from "../snapshots/mod.ts";
import { shiplogSnapshots, snapshots as wire } from "../wire/mod.ts";
import { answered } from "./grpc/mod.ts";

/** Where our snapshots are over there, if that process knows namespaces. */
const namespace = "shiplog";

/** A snapshot may have to be fetched before it can be mounted; whoever takes longer is taken for dead. */
const answerMsMax = 120_000;

/** Connects at the first call, and again whenever the process has come back. `snapshotter` is its own name for what is meant. */
export function remoteSnapshots(address: string, snapshotter: string): RemoteSnapshots {
  const connection = connect(address);
  const service = connection.service(wire.SnapshotsDefinition, { namespace });
  const pictures = connection.service(shiplogSnapshots.SnapshotsDefinition, { namespace });
  const options = () => ({ signal: AbortSignal.timeout(answerMsMax) });
  return {
    prepare: (key, parent, labels) =>
      answered(() => service.prepare({ snapshotter, key, parent, labels: { ...labels } }, options())).then(
        ({ mounts }) => mounts,
      ),
    view: (key, parent, labels) =>
      answered(() => service.view({ snapshotter, key, parent, labels: { ...labels } }, options())).then(
        ({ mounts }) => mounts,
      ),
    mounts: (key) => answered(() => service.mounts({ snapshotter, key }, options())).then(({ mounts }) => mounts),
    commit: async (name, key, labels) =>
      void (await answered(() => service.commit({ snapshotter, name, key, labels: { ...labels } }, options()))),
    remove: async (key) => void (await answered(() => service.remove({ snapshotter, key }, options()))),
    take: async (key, name, labels, signal) => {
      const request = { snapshotter, key, name, labels: { ...labels } };
      const { sharedBytes, copiedBytes } = await answered(() => pictures.take(request, { signal }));
      return { sharedBytes: Number(sharedBytes), copiedBytes: Number(copiedBytes) };
    },
    stat: async (key) => infoOf((await answered(() => service.stat({ snapshotter, key }, options()))).info),
    usage: async (key) => {
      const { size, inodes } = await answered(() => service.usage({ snapshotter, key }, options()));
      return { size: Number(size), inodes: Number(inodes) };
    },
    list: () => answered(() => all(service.list({ snapshotter, filters: [] }, options()))),
    close: () => connection.close(),
  };
}

async function all(messages: AsyncIterable<wire.ListSnapshotsResponse>): Promise<RemoteInfo[]> {
  const infos: RemoteInfo[] = [];
  for await (const { info } of messages) infos.push(...info.map(infoOf));
  return infos;
}

const infoOf = (info: wire.Info | undefined): RemoteInfo => ({
  name: info?.name ?? "",
  parent: info?.parent ?? "",
  labels: info?.labels ?? {},
});
