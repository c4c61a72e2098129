/** containerd.services.leases.v1.Leases, and the lease header. */
import { containers, content, leases, snapshots } from "../../../src/wire/mod.ts";
import { createHash } from "node:crypto";
import { callsOf, type Scenario } from "../scenario.ts";

const namespace = "leases";
const call = callsOf(leases.LeasesDefinition, { namespace });
const snapshot = callsOf(snapshots.SnapshotsDefinition, { namespace });
const blob = callsOf(content.ContentDefinition, { namespace });
const container = callsOf(containers.ContainersDefinition, { namespace });
const digest = `sha256:${"1".repeat(64)}`;
const { STAT, WRITE, COMMIT } = content.WriteAction;

const life: Scenario = {
  name: "leases",
  calls: [
    call("list where nothing is", "list", {}),
    call("nothing", "create", {}),
    call("by an id", "create", { id: "one", labels: { a: "1", empty: "", "containerd.io/x": "y" } }),
    call("by an id again", "create", { id: "one" }),
    call("ids are any text", "create", { id: "a b/é\u0001" }),
    call("any text again", "create", { id: "a b/é\u0001" }),
    call("an id longer than the database's keys", "create", { id: "i".repeat(32_769) }),
    call("labels of any length", "create", { id: "long", labels: { long: "v".repeat(5_000) } }),
    call("a label without a name", "create", { id: "odd", labels: { "": "v" } }),
    call("an expiry", "create", { id: "expires", labels: { "containerd.io/gc.expire": "2100-01-01T00:00:00Z" } }),
    call("an expiry that is none", "create", { id: "expires-not", labels: { "containerd.io/gc.expire": "soon" } }),
    call("flat", "create", { id: "flat", labels: { "containerd.io/gc.flat": "yes" } }),
    call("create without a namespace", "create", { id: "x" }, { namespace: [] }),
    call("create in a malformed namespace", "create", { id: "x" }, { namespace: "-" }),
    call("list without a namespace", "list", {}, { namespace: [] }),
    call("delete without a namespace", "delete", { id: "one" }, { namespace: [] }),
    call(
      "add without a namespace",
      "addResource",
      { id: "one", resource: { id: digest, type: "content" } },
      { namespace: [] },
    ),
    call(
      "take without a namespace",
      "deleteResource",
      { id: "one", resource: { id: digest, type: "content" } },
      { namespace: [] },
    ),
    call("resources without a namespace", "listResources", { id: "one" }, { namespace: [] }),
    ...[
      "",
      "id",
      "id==one",
      "id!=one",
      "labels.a==1",
      "labels.a",
      'labels."containerd.io/x"==y',
      "unknown",
      "created_at",
      "id===one",
      "labels.empty",
    ].map((filter) => call(`list by ${JSON.stringify(filter)}`, "list", { filters: [`${filter}`, "id==none"] })),
    call("list by id~=^e", "list", { filters: ["id~=^e"] }),
    call("list in a namespace that is not there", "list", {}, { namespace: "leases-none" }),
    call("resources of none", "listResources", { id: "one" }),
    ...[
      ["content", digest],
      ["content", `sha512:${"2".repeat(128)}`],
      ["content", "nothing"],
      ["content", ""],
      ["content/sub", digest],
      ["ingests", "any ref"],
      ["ingests", ""],
      ["ingests/sub", "ref"],
      ["snapshots/overlayfs", "any key"],
      ["snapshots/native", "any key"],
      ["snapshots/unknown", "any key"],
      ["snapshots/overlayfs", ""],
      ["snapshots", "key"],
      ["snapshots/", "key"],
      ["snapshots/overlayfs/sub", "key"],
      ["images", "name"],
      ["images/sub", "name"],
      ["containers", "id"],
      ["", "id"],
      ["/", "id"],
      ["Content", digest],
    ].flatMap(([type, id]) => [
      call(`add ${JSON.stringify(type)} ${JSON.stringify(id!.slice(0, 12))}`, "addResource", {
        id: "one",
        resource: { type: type!, id: id! },
      }),
    ]),
    call("resources", "listResources", { id: "one" }),
    call("add what is held", "addResource", { id: "one", resource: { type: "content", id: digest } }),
    call("add nothing", "addResource", { id: "one" }, { deadly: true }),
    call("add to an unknown lease", "addResource", { id: "unknown", resource: { type: "content", id: digest } }),
    call("add a bad resource to an unknown lease", "addResource", {
      id: "unknown",
      resource: { type: "bad", id: digest },
    }),
    call("take", "deleteResource", { id: "one", resource: { type: "content", id: digest } }),
    call("take twice", "deleteResource", { id: "one", resource: { type: "content", id: digest } }),
    call("take what no lease ever held", "deleteResource", {
      id: "flat",
      resource: { type: "snapshots/overlayfs", id: "k" },
    }),
    call("take of a bad type", "deleteResource", { id: "one", resource: { type: "bad", id: "k" } }),
    call("take a bad digest", "deleteResource", { id: "one", resource: { type: "content", id: "bad" } }),
    call("take nothing", "deleteResource", { id: "one" }, { deadly: true }),
    call("take from an unknown lease", "deleteResource", { id: "unknown", resource: { type: "content", id: digest } }),
    call("resources after", "listResources", { id: "one" }),
    call("resources of an unknown lease", "listResources", { id: "unknown" }),
    call("delete", "delete", { id: "one" }),
    call("delete twice", "delete", { id: "one" }),
    call("delete no id", "delete", {}),
    call("delete for sure", "delete", { id: "flat", sync: true }),
    call("delete for sure twice", "delete", { id: "flat", sync: true }),
    call(
      "delete an unknown one in a namespace that is not there",
      "delete",
      { id: "one" },
      { namespace: "leases-none" },
    ),
  ],
};

const bytes = Buffer.from("held by a lease");
const held = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
/** Keeps it from being collected, whenever that happens. */
const root = { "containerd.io/gc.root": "yes" };
const resources = (name: string) => call(name, "listResources", { id: "lease" });

/** What is made under the header is held by its lease from then on. */
const header: Scenario = {
  name: "lease header",
  calls: [
    call("a lease", "create", { id: "lease" }),
    snapshot("prepare", "prepare", { snapshotter: "overlayfs", key: "active" }, { lease: "lease" }),
    resources("after prepare"),
    snapshot("prepare without it", "prepare", { snapshotter: "overlayfs", key: "other", labels: root }),
    snapshot("prepare what exists", "prepare", { snapshotter: "overlayfs", key: "other" }, { lease: "lease" }),
    resources("after preparing what exists"),
    snapshot("commit", "commit", { snapshotter: "overlayfs", key: "active", name: "committed" }, { lease: "lease" }),
    resources("after commit"),
    snapshot(
      "commit to a name that exists",
      "commit",
      { snapshotter: "overlayfs", key: "other", name: "committed" },
      { lease: "lease" },
    ),
    resources("after committing to a name that exists"),
    snapshot("view", "view", { snapshotter: "overlayfs", key: "view", parent: "committed" }, { lease: "lease" }),
    snapshot("view what exists under no lease", "view", { snapshotter: "overlayfs", key: "view", parent: "committed" }),
    resources("after view"),
    snapshot("remove", "remove", { snapshotter: "overlayfs", key: "view" }, { lease: "lease" }),
    resources("after remove"),
    snapshot("remove without it", "remove", { snapshotter: "overlayfs", key: "other" }),
    resources("after remove without it"),
    snapshot("prepare under an unknown lease", "prepare", { snapshotter: "overlayfs", key: "x" }, { lease: "unknown" }),
    snapshot(
      "prepare what exists under an unknown lease",
      "prepare",
      { snapshotter: "overlayfs", key: "committed" },
      { lease: "unknown" },
    ),
    snapshot(
      "commit under an unknown lease",
      "commit",
      { snapshotter: "overlayfs", key: "committed", name: "y" },
      { lease: "unknown" },
    ),
    snapshot(
      "remove under an unknown lease",
      "remove",
      { snapshotter: "overlayfs", key: "committed" },
      { lease: "unknown" },
    ),
    snapshot(
      "stat under an unknown lease",
      "stat",
      { snapshotter: "overlayfs", key: "committed" },
      { lease: "unknown" },
    ),
    blob("write", "write", [{ action: WRITE, ref: "ref", data: bytes }], { lease: "lease" }),
    resources("after write"),
    blob(
      "commit content",
      "write",
      [
        { action: STAT, ref: "ref" },
        { action: COMMIT, offset: BigInt(bytes.length), expected: held, labels: root },
      ],
      { lease: "lease" },
    ),
    resources("after committing content"),
    call("let go of the content", "deleteResource", { id: "lease", resource: { type: "content", id: held } }),
    blob("write what exists", "write", [{ action: STAT, ref: "again", expected: held }], { lease: "lease" }),
    resources("after writing what exists"),
    blob("abort", "abort", { ref: "ref" }, { lease: "lease" }),
    blob("write a second", "write", [{ action: WRITE, ref: "second", data: bytes }], { lease: "lease" }),
    blob("abort the second", "abort", { ref: "second" }, { lease: "lease" }),
    resources("after abort"),
    blob("write under an unknown lease", "write", [{ action: WRITE, ref: "third", data: bytes }], { lease: "unknown" }),
    blob("statuses after it", "listStatuses", {}),
    blob("delete content", "delete", { digest: held }, { lease: "lease" }),
    resources("after deleting content"),
    container("what takes no lease", "list", {}, { lease: "unknown" }),
    snapshot("an empty lease", "prepare", { snapshotter: "overlayfs", key: "empty" }, { lease: "" }),
    call("delete", "delete", { id: "lease" }),
    snapshot("under a deleted lease", "prepare", { snapshotter: "overlayfs", key: "late" }, { lease: "lease" }),
  ],
};

export const scenarios: readonly Scenario[] = [life, header];
