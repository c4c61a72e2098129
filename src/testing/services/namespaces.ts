/** The namespace itself. Sources: services/namespaces/local.go, metadata/namespaces.go. */
import { namespaces } from "../../wire/mod.ts";
import { command } from "../command.ts";
import { labels, maskOf, only, updated } from "../labels.ts";
import { answers, moves } from "../prediction.ts";
import { here, type World } from "../world.ts";

const definition = namespaces.NamespacesDefinition;

/** What keeps a namespace from being deleted; leases and uploads go with it. */
const blocking = ["image", "blob", "container", "snapshot"] as const;

export const namespaceCommands = [
  command("namespaces create here [LABELS]", {
    // An upload that is under way beside it has made the namespace and not yet its content.
    atomic: false,
    changes: ["namespace"],
    with: { labels },
    predict: (world, { labels }) =>
      moves(world, [{ kind: "namespace", key: here, command: { type: "CreateNamespace", name: here, labels } }]),
    call: async (caller, { labels }) =>
      void (await caller.ask(definition, "create", { namespace: { name: caller.namespace, labels: { ...labels } } })),
  }),

  command("namespaces label here [--only ONLY] [LABELS]", {
    changes: ["namespace"],
    with: { labels, only },
    predict(world, { labels: requested, only }) {
      const current = world.row("namespace", here)?.labels ?? {};
      const setsNone = only === "" && Object.keys(requested).length === 0 && Object.keys(current).length === 0;
      if (!world.exists && setsNone && !world.dialect.emptyUpdateMakesNamespace) return toldOnly(world, requested);
      const labels = updated(current, requested, only);
      return moves(world, [
        { kind: "namespace", key: here, command: { type: "UpdateNamespace", name: here, labels, requested } },
      ]);
    },
    call: async (caller, { labels, only }) =>
      void (await caller.ask(definition, "update", {
        namespace: { name: caller.namespace, labels: { ...labels } },
        updateMask: maskOf(only),
      })),
  }),

  command("namespaces remove here", {
    // An upload that is under way beside it finds its end gone.
    atomic: false,
    changes: ["namespace", "leases", "ingests"],
    with: {},
    predict(world) {
      // What runs in it would be left behind.
      if (world.rows("task").length > 0) return undefined;
      const held = blocking.filter((kind) => world.rows(kind).length > 0);
      const leases = world.rows("lease").map(({ key }) => key);
      const uploads = world.rows("ingest").map(({ key }) => key);
      const removed = moves(world, [
        ...leases.map((id) => ({ kind: "lease", key: id, command: { type: "DeleteLease", id } }) as const),
        ...uploads.map(
          (ref) =>
            ({
              kind: "ingest",
              key: ref,
              command: { type: "AbortIngest", ref, reason: "its namespace ends" },
            }) as const,
        ),
        { kind: "namespace", key: here, command: { type: "DeleteNamespace", name: here, holds: held } },
      ]);
      if (removed.answer.code !== "OK" || world.dialect.uploadsOutliveNamespace) return removed;
      return { ...removed, world: uploads.reduce((after, ref) => after.withUpload(ref, undefined), removed.world) };
    },
    call: async (caller) => void (await caller.ask(definition, "delete", { name: caller.namespace })),
  }),
];

/** The event is told of what did not happen. */
function toldOnly(world: World, requested: Readonly<Record<string, string>>) {
  const row = { status: "absent" };
  const data = { labels: {}, requested };
  return {
    ...answers(world, undefined),
    facts: [{ kind: "namespace", key: here, type: "NamespaceUpdated", data, row }],
  } as const;
}
