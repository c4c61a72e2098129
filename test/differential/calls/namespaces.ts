/** containerd.services.namespaces.v1.Namespaces. */
import { containers, content, images, leases, namespaces, snapshots } from "../../../src/wire/mod.ts";
import { runtimeSpec } from "../../harness/spec.ts";
import { callsOf, type Scenario } from "../scenario.ts";
import { identifiers, labelLimits } from "./rules.ts";

const call = callsOf(namespaces.NamespacesDefinition, { namespace: "caller" });
const holding = { namespace: "ns-holding" };
const image = callsOf(images.ImagesDefinition, holding);
const container = callsOf(containers.ContainersDefinition, holding);
const snapshot = callsOf(snapshots.SnapshotsDefinition, holding);
const blob = callsOf(content.ContentDefinition, holding);
const lease = callsOf(leases.LeasesDefinition, holding);
const digest = `sha256:${"1".repeat(64)}`;
const target = { mediaType: "m", digest, size: 5n };

const create = (name: string, namespace: object, headers = {}) =>
  call(name, "create", { namespace: { name: "ns-new", ...namespace } }, headers);
const update = (name: string, namespace: object, ...updateMask: string[]) =>
  call(name, "update", { namespace: { name: "ns-full", ...namespace }, ...(updateMask.length > 0 && { updateMask }) });

const life: Scenario = {
  name: "namespaces",
  calls: [
    call("get an unknown one", "get", { name: "ns-unknown" }),
    call("get no name", "get", {}),
    call("get a malformed name", "get", { name: "a b" }),
    call("nothing", "create", {}, { deadly: true }),
    create("minimal", { name: "ns-minimal" }),
    create("minimal again", { name: "ns-minimal" }),
    create("all fields", { name: "ns-full", labels: { a: "1", b: "2", empty: "" } }),
    call("get all fields", "get", { name: "ns-full" }),
    create("without a header", { name: "ns-header" }, { namespace: [] }),
    call("get without a header", "get", { name: "ns-header" }, { namespace: [] }),
    call(
      "update without a header",
      "update",
      { namespace: { name: "ns-header", labels: { a: "b" } } },
      { namespace: [] },
    ),
    call("list without a header", "list", {}, { namespace: [] }),
    create("with a malformed header", { name: "ns-malformed-header" }, { namespace: "a b" }),
    create("the name version", { name: "version" }),
    ...identifiers.map((name) => create(`name ${JSON.stringify(name)}`, { name })),
    ...labelLimits.map(({ name, labels }, index) => create(name, { name: `ns-label-${index}`, labels })),
    create("a bad name and a long label", { name: "a b", labels: { a: "v".repeat(4096) } }),
    call("update nothing", "update", {}, { deadly: true }),
    call("update a bad name", "update", { namespace: { name: "a b", labels: { a: "b" } }, updateMask: ["labels.a"] }),
    update("labels", { labels: { a: "2" } }, "labels"),
    update("name", { labels: { a: "2" } }, "name"),
    update("an empty path", { labels: { a: "2" } }, ""),
    update("labels.a", { labels: { a: "2", c: "ignored" } }, "labels.a"),
    update("labels.a to nothing", {}, "labels.a"),
    update("labels of a dotted name", { labels: { "x.y/z": "5" } }, "labels.x.y/z"),
    update("labels with an empty name", { labels: { "": "5" } }, "labels."),
    update("labels.none that is not there", {}, "labels.none"),
    update("labels.long", { labels: { long: "v".repeat(4096) } }, "labels.long"),
    update("a good and a bad path", { labels: { a: "9" } }, "labels.a", "labels"),
    call("get after the masks", "get", { name: "ns-full" }),
    update("without a mask", { labels: { only: "this", none: "" } }),
    call("get after no mask", "get", { name: "ns-full" }),
    update("without a mask or labels", {}),
    call("get after no labels", "get", { name: "ns-full" }),
    call("update an unknown one", "update", { namespace: { name: "ns-made", labels: { a: "b" } } }),
    call("update an unknown one by a mask", "update", {
      namespace: { name: "ns-made-too", labels: { a: "b" } },
      updateMask: ["labels.a"],
    }),
    call("delete", "delete", { name: "ns-minimal" }),
    call("delete twice", "delete", { name: "ns-minimal" }),
    call("delete no name", "delete", {}),
    call("delete a malformed name", "delete", { name: "a b" }),
    ...["ns-full", "ns-made", "ns-made-too", "ns-header", "a"].map((name) =>
      call(`delete ${name}`, "delete", { name }),
    ),
  ],
};

/** Keeps it from being collected, whenever that happens. */
const root = { "containerd.io/gc.root": "yes" };
const data = Buffer.from("held by a namespace");

/** What keeps a namespace from being deleted is taken away one by one. */
const held: Scenario = {
  name: "namespaces that hold something",
  calls: [
    lease("a lease", "create", { id: "lease" }),
    call("delete what holds a lease", "delete", { name: "ns-holding" }),
    blob("an ingest", "write", [{ action: 1, ref: "ingest", data }]),
    call("delete what holds an ingest", "delete", { name: "ns-holding" }),
    image("an image", "create", { image: { name: "image", target } }),
    container("a container", "create", { container: { id: "c", runtime: { name: "r" }, spec: runtimeSpec(["true"]) } }),
    snapshot("a snapshot", "prepare", { snapshotter: "overlayfs", key: "o", labels: root }),
    snapshot("a snapshot on native", "prepare", { snapshotter: "native", key: "n", labels: root }),
    blob("a blob", "write", [{ action: 2, ref: "blob", data, labels: root }], { keep: keepDigest }),
    call("delete what holds all", "delete", { name: "ns-holding" }),
    call("get what holds all", "get", { name: "ns-holding" }),
    image("no image", "delete", { name: "image" }),
    call("delete what has no image", "delete", { name: "ns-holding" }),
    blob("no blob", "delete", ({ kept }) => ({ digest: kept.get("digest") as string })),
    call("delete what has no blob", "delete", { name: "ns-holding" }),
    snapshot("no snapshot on native", "remove", { snapshotter: "native", key: "n" }),
    call("delete what has one snapshot", "delete", { name: "ns-holding" }),
    snapshot("no snapshot", "remove", { snapshotter: "overlayfs", key: "o" }),
    call("delete what has a container", "delete", { name: "ns-holding" }),
    container("no container", "delete", { id: "c" }),
    call("delete", "delete", { name: "ns-holding" }),
    call("get after all", "get", { name: "ns-holding" }),
    blob("content after all", "list", {}),
    lease("leases after all", "list", {}),
  ],
};

function keepDigest({ messages }: { readonly messages: readonly unknown[] }, kept: Map<string, unknown>): void {
  kept.set("digest", (messages.at(-1) as content.WriteContentResponse).digest);
}

/** Every namespace that the scenarios before it have left. */
const listing: Scenario = {
  name: "namespaces listed",
  calls: [
    call("list", "list", {}),
    call("list by a filter, which is ignored", "list", { filter: "name==none" }),
    call("list by a malformed filter", "list", { filter: "===" }),
  ],
};

export const scenarios: readonly Scenario[] = [life, held, listing];
