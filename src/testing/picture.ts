/** What can be seen of a namespace: its parts, as plain data that two runtimes and the model tell alike. Owns the model's side of it. */
import type { TaskState } from "../machines/mod.ts";
import { pieceBytes } from "./content-names.ts";
import { here, type World } from "./world.ts";

/** Each entry is one entity. Times, process ids and directories are left out. */
export const parts = ["namespace", "containers", "images", "leases", "blobs", "ingests", "snapshots", "tasks"] as const;
export type Part = (typeof parts)[number];

export type Picture = Partial<Record<Part, unknown>>;

/** What the model says can be seen. */
export function pictureOf(world: World, wanted: readonly Part[]): Picture {
  return Object.fromEntries(wanted.map((part) => [part, views[part](world)]));
}

const views: Readonly<Record<Part, (world: World) => unknown>> = {
  namespace: (world) => ({ exists: world.exists, labels: { ...world.row("namespace", here)?.labels } }),
  containers: (world) => world.rows("container").map(({ key, row }) => containerSeen(key, row)),
  images: (world) => world.rows("image").map(({ key, row }) => imageSeen(key, row)),
  leases: (world) =>
    world.rows("lease").map(({ key, row }) => ({
      id: key,
      labels: { ...row.labels },
      holds: row.resources.map(({ type, id }) => `${type} ${id}`).sort(),
    })),
  blobs: (world) => world.rows("blob").map(({ key, row }) => blobSeen(key, row)),
  ingests: (world) =>
    world.rows("ingest").flatMap(({ key }) => {
      const { letters, total } = world.upload(key) ?? { letters: "", total: 0 };
      return letters === undefined ? [] : [ingestSeen(key, letters.length, total)];
    }),
  snapshots: (world) => world.rows("snapshot").map(({ key, row }) => snapshotSeen(key, row)),
  tasks: (world) =>
    world.rows("task").map(({ key, row }) => ({ id: key, status: statusSeen(row), exitStatus: row.exit?.status ?? 0 })),
};

interface SeenContainer {
  readonly labels: object;
  readonly image: string;
  readonly snapshotter: string;
  readonly snapshotKey: string;
}

export const containerSeen = (id: string, { labels, image, snapshotter, snapshotKey }: SeenContainer) => ({
  id,
  labels: { ...labels },
  image,
  snapshotter,
  snapshotKey,
});

export const imageSeen = (
  name: string,
  { labels, target }: { readonly labels: object; readonly target: { readonly digest: string } },
) => ({
  name,
  labels: { ...labels },
  target: target.digest,
});

/** Sizes are told in letters. */
export const blobSeen = (
  digest: string,
  { labels, size }: { readonly labels: object; readonly size: number | bigint },
) => ({
  digest,
  labels: { ...labels },
  letters: Number(size) / pieceBytes,
});

export const ingestSeen = (ref: string, letters: number, total: number | bigint) => ({
  ref,
  letters,
  total: Number(total),
});

export const snapshotSeen = (
  key: string,
  { status, parent, labels }: { readonly status: string; readonly parent: string; readonly labels: object },
) => ({ key, kind: status, parent, labels: { ...labels } });

/** As containerd tells it. */
export function statusSeen({ status, exit }: Pick<TaskState, "status" | "exit">): string {
  if (status === "starting") return "created";
  if (status === "deleting") return exit === null ? "created" : "stopped";
  return status;
}
