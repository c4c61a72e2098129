/** Records of containers. Sources: services/containers/local.go, metadata/containers.go. */
import fc from "fast-check";
import { containers } from "../../wire/mod.ts";
import { command } from "../command.ts";
import { id, parent as snapshot } from "../names.ts";
import { labels, updated } from "../labels.ts";
import { containerSeen } from "../picture.ts";
import { answers, moves, refuses } from "../prediction.ts";
import type { Caller } from "../remote/caller.ts";
import { missing, runningSpec } from "../spec.ts";

const definition = containers.ContainersDefinition;
export const runtime = "io.containerd.runc.v2";

const image = fc.constantFrom("", "x", "y");
const snapshotter = fc.constantFrom("", "native", "overlayfs");
const only = fc.constantFrom("", "labels", "labels.p", "image", "snapshotkey");
const filter = fc.constantFrom("", "id==x", "labels.p==1", "image==y");

/** Mostly one that runs. */
export const program = fc.constantFrom("", "", "", missing);

interface Described {
  readonly id: string;
  readonly program?: string;
  readonly image: string;
  readonly snapshotter: string;
  readonly snapshot: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** As the API has it. */
const message = (caller: Caller, { id, program, image, snapshotter, snapshot, labels }: Described) => ({
  id,
  image,
  snapshotter,
  snapshotKey: snapshot,
  labels: { ...labels },
  runtime: { name: runtime },
  spec: runningSpec(`/${caller.namespace}/${id}`, program),
});

export const containerCommands = [
  command(
    "containers create [--image IMAGE] [--snapshotter SNAPSHOTTER] [--snapshot SNAPSHOT] [--program PROGRAM] ID [LABELS]",
    {
      weight: 3,
      changes: ["containers", "namespace"],
      with: { id, image, snapshotter, snapshot, program, labels },
      predict(world, given) {
        const { id, image, snapshotter, snapshot: snapshotKey, program, labels } = given;
        if (snapshotKey !== "" && snapshotter === "") return refuses(world, "InvalidArgument");
        const described = { labels, image, snapshotter, snapshotKey };
        const rest = {
          runtime: { name: runtime, options: null },
          spec: runningSpec(id, program),
          sandbox: "",
          extensions: {},
        };
        const command = { type: "CreateContainer", id, ...described, ...rest } as const;
        return moves(world, [{ kind: "container", key: id, command }], containerSeen(id, described));
      },
      async call(caller, given) {
        const { container } = await caller.ask(definition, "create", { container: message(caller, given) });
        return containerSeen(container!.id, container!);
      },
    },
  ),

  command(
    "containers update [--only ONLY] [--image IMAGE] [--snapshotter SNAPSHOTTER] [--snapshot SNAPSHOT] ID [LABELS]",
    {
      weight: 2,
      changes: ["containers"],
      with: { id, only, image, snapshotter, snapshot, labels },
      predict(world, { id, only, image, snapshotter, snapshot: snapshotKey, labels: requested }) {
        const row = world.row("container", id);
        if (row === undefined) return refuses(world, "NotFound");
        // Only an update of everything looks at what cannot be changed.
        if (only === "" && snapshotter !== row.snapshotter) return refuses(world, "InvalidArgument");
        const isAsked = (field: string) => only === "" || only === field;
        const key = isAsked("snapshotkey") ? snapshotKey : row.snapshotKey;
        if (key !== "" && row.snapshotter === "") return refuses(world, "InvalidArgument");
        const labels = only.startsWith("labels.")
          ? updated(row.labels, requested, only.slice("labels.".length))
          : isAsked("labels")
            ? requested
            : row.labels;
        const spec = isAsked("spec") ? { spec: runningSpec(id) } : {};
        const changed = { labels, image: isAsked("image") ? image : row.image, snapshotKey: key, ...spec };
        const command = { type: "UpdateContainer", id, ...changed } as const;
        return moves(world, [{ kind: "container", key: id, command }], containerSeen(id, { ...row, ...changed }));
      },
      async call(caller, given) {
        const updateMask = given.only === "" ? undefined : [given.only];
        const { container } = await caller.ask(definition, "update", { container: message(caller, given), updateMask });
        return containerSeen(container!.id, container!);
      },
    },
  ),

  command("containers delete ID", {
    changes: ["containers"],
    with: { id },
    predict(world, { id }) {
      // Nobody could ask for its task any more.
      if (world.row("task", id) !== undefined) return undefined;
      return moves(world, [{ kind: "container", key: id, command: { type: "DeleteContainer", id } }]);
    },
    call: async (caller, { id }) => void (await caller.ask(definition, "delete", { id })),
  }),

  command("containers info ID", {
    with: { id },
    predict(world, { id }) {
      const row = world.row("container", id);
      return row === undefined ? refuses(world, "NotFound") : answers(world, containerSeen(id, row));
    },
    async call(caller, { id }) {
      const { container } = await caller.ask(definition, "get", { id });
      return containerSeen(container!.id, container!);
    },
  }),

  command("containers list [FILTER]", {
    with: { filter },
    predict(world, { filter }) {
      const [field, wanted] = filter.split("==");
      const found = world.rows("container").filter(({ key, row }) => {
        const values: Readonly<Record<string, string | undefined>> = {
          id: key,
          image: row.image,
          "labels.p": row.labels.p,
        };
        return filter === "" || values[field!] === wanted;
      });
      return answers(
        world,
        found.map(({ key }) => key),
      );
    },
    async call(caller, { filter }) {
      const { containers } = await caller.ask(definition, "list", { filters: filter === "" ? [] : [filter] });
      return containers.map(({ id }) => id).sort();
    },
  }),
];
