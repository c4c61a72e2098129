/** What a runtime shows of a namespace, part by part, in the form in which the model tells it. */
import * as wire from "../../wire/mod.ts";
import { pieceBytes } from "../content-names.ts";
import { blobSeen, containerSeen, imageSeen, ingestSeen, type Part, type Picture } from "../picture.ts";
import { infoSeen } from "../services/snapshots.ts";
import { statusName } from "../status-name.ts";
import type { Caller } from "./caller.ts";

export const snapshotters = ["native", "overlayfs"] as const;

export async function look(caller: Caller, parts: readonly Part[]): Promise<Picture> {
  const seen = await Promise.all(parts.map(async (part) => [part, await views[part](caller)] as const));
  return Object.fromEntries(seen);
}

const byName = <T>(entries: readonly T[], name: (entry: T) => string): T[] =>
  entries.toSorted((left, right) => (name(left) < name(right) ? -1 : 1));

const views: Readonly<Record<Part, (caller: Caller) => Promise<unknown>>> = {
  async namespace(caller) {
    const { namespaces } = await caller.ask(wire.namespaces.NamespacesDefinition, "list", {});
    const own = namespaces.find(({ name }) => name === caller.namespace);
    return { exists: own !== undefined, labels: own?.labels ?? {} };
  },
  async containers(caller) {
    const { containers } = await caller.ask(wire.containers.ContainersDefinition, "list", {});
    return byName(containers, ({ id }) => id).map((each) => containerSeen(each.id, each));
  },
  async images(caller) {
    const { images } = await caller.ask(wire.images.ImagesDefinition, "list", {});
    return byName(images, ({ name }) => name).map((each) => imageSeen(each.name, { ...each, target: each.target! }));
  },
  async leases(caller) {
    const { leases } = await caller.ask(wire.leases.LeasesDefinition, "list", {});
    return Promise.all(
      byName(leases, ({ id }) => id).map(async ({ id, labels }) => {
        const { resources } = await caller.ask(wire.leases.LeasesDefinition, "listResources", { id });
        return { id, labels, holds: resources.map(({ type, id }) => `${type} ${id}`).sort() };
      }),
    );
  },
  async blobs(caller) {
    const messages = await caller.ask(wire.content.ContentDefinition, "list", {});
    const infos = messages.flatMap(({ info }) => info);
    return byName(infos, ({ digest }) => digest).map((each) => blobSeen(each.digest, each));
  },
  async ingests(caller) {
    const { statuses } = await caller.ask(wire.content.ContentDefinition, "listStatuses", {});
    return byName(statuses, ({ ref }) => ref).map(({ ref, offset, total }) =>
      ingestSeen(ref, Number(offset) / pieceBytes, total),
    );
  },
  async snapshots(caller) {
    const lists = snapshotters.map(async (snapshotter) => {
      const messages = await caller.ask(wire.snapshots.SnapshotsDefinition, "list", { snapshotter });
      return messages.flatMap(({ info }) => info).map((info) => infoSeen(snapshotter, info));
    });
    return byName((await Promise.all(lists)).flat(), ({ key }) => key);
  },
  async tasks(caller) {
    const { tasks } = await caller.ask(wire.tasks.TasksDefinition, "list", {});
    return byName(tasks, ({ id }) => id).map(({ id, status, exitStatus }) => ({
      id,
      status: statusName(status),
      exitStatus,
    }));
  },
};
