/** Removing a namespace of a runtime with all that can be seen in it. */
import * as wire from "../../wire/mod.ts";
import { refusalOf } from "../answer.ts";
import type { Picture } from "../picture.ts";
import type { Caller } from "./caller.ts";

const SIGKILL = 9;

/** What `look` tells of each part, as far as it matters here. */
interface Seen {
  readonly namespace: { readonly exists: boolean };
  readonly containers: readonly { readonly id: string }[];
  readonly images: readonly { readonly name: string }[];
  readonly blobs: readonly { readonly digest: string }[];
  readonly ingests: readonly { readonly ref: string }[];
  readonly snapshots: readonly { readonly key: string; readonly parent: string }[];
  readonly tasks?: readonly { readonly id: string; readonly status: string }[];
}

/** @param picture everything that there is, tasks only where there can be any */
export async function cleanUp(caller: Caller, picture: Picture): Promise<void> {
  const { namespace, containers, images, blobs, ingests, snapshots, tasks = [] } = picture as unknown as Seen;
  if (!namespace.exists) return;
  const { ContainersDefinition, ContentDefinition, ImagesDefinition } = {
    ...wire.containers,
    ...wire.content,
    ...wire.images,
  };
  await Promise.all(tasks.map(({ id, status }) => removeTask(caller, id, status)));
  await Promise.all([
    ...containers.map(({ id }) => caller.ask(ContainersDefinition, "delete", { id })),
    ...images.map(({ name }) => caller.ask(ImagesDefinition, "delete", { name })),
    ...blobs.map(({ digest }) => caller.ask(ContentDefinition, "delete", { digest })),
    ...ingests.map(({ ref }) => caller.ask(ContentDefinition, "abort", { ref })),
    removeSnapshots(caller, snapshots),
  ]);
  await caller.ask(wire.namespaces.NamespacesDefinition, "delete", { name: caller.namespace });
}

async function removeTask(caller: Caller, containerId: string, status: string): Promise<void> {
  const { TasksDefinition } = wire.tasks;
  if (status === "paused") await caller.ask(TasksDefinition, "resume", { containerId });
  if (status === "running" || status === "paused") {
    try {
      await caller.ask(TasksDefinition, "kill", { containerId, signal: SIGKILL, all: true });
    } catch (error) {
      // It has ended by itself meanwhile.
      if (refusalOf(error).code !== "NotFound") throw error;
    }
    await caller.ask(TasksDefinition, "wait", { containerId });
  }
  await caller.ask(TasksDefinition, "delete", { containerId });
}

/** Those first that nothing stands on. */
async function removeSnapshots(caller: Caller, snapshots: Seen["snapshots"]): Promise<void> {
  let left = snapshots;
  while (left.length > 0) {
    const parents = new Set(left.map(({ key, parent }) => `${snapshotterOf(key)}/${parent}`));
    const leaves = left.filter(({ key }) => !parents.has(key));
    if (leaves.length === 0) throw new Error(`snapshots stand on each other: ${left.map(({ key }) => key).join(", ")}`);
    await Promise.all(
      leaves.map(({ key: name }) => {
        const snapshotter = snapshotterOf(name);
        const key = name.slice(snapshotter.length + 1);
        return caller.ask(wire.snapshots.SnapshotsDefinition, "remove", { snapshotter, key });
      }),
    );
    left = left.filter((each) => !leaves.includes(each));
  }
}

const snapshotterOf = (key: string): string => key.slice(0, key.indexOf("/"));
