/** containerd.services.snapshots.v1.Snapshots, on both snapshotters. */
import { snapshots } from "../../../src/wire/mod.ts";
import { callsOf, type ComparedCall, type Scenario } from "../scenario.ts";
import { labelLimits } from "./rules.ts";

/** Keeps it from being collected, whenever that happens. */
const kept = { "containerd.io/gc.root": "yes" };

function scenarioOn(snapshotter: string): Scenario {
  const namespace = `snapshots-${snapshotter}`;
  const call = callsOf(snapshots.SnapshotsDefinition, { namespace });
  const prepare = (name: string, request: object, headers = {}) =>
    call(name, "prepare", { snapshotter, labels: kept, ...request }, headers);
  const view = (name: string, request: object) => call(name, "view", { snapshotter, labels: kept, ...request });
  const commit = (name: string, request: object) => call(name, "commit", { snapshotter, labels: kept, ...request });
  const on = (name: string, method: "mounts" | "stat" | "remove" | "usage", key: string) =>
    call(name, method, { snapshotter, key });
  const update = (name: string, info: object, ...updateMask: string[]) =>
    call(name, "update", {
      snapshotter,
      info: { name: "base", ...info },
      ...(updateMask.length > 0 && { updateMask }),
    });
  const list = (filter: string): ComparedCall =>
    call(`list by ${JSON.stringify(filter)}`, "list", { snapshotter, filters: [filter] });
  return {
    name: `snapshots on ${snapshotter}`,
    calls: [
      call("list where nothing is", "list", { snapshotter }),
      prepare("prepare", { key: "active" }),
      prepare("prepare again", { key: "active" }),
      prepare("prepare again on an unknown parent", { key: "active", parent: "unknown" }),
      prepare("prepare an empty key", { key: "" }),
      prepare("prepare on an unknown parent", { key: "x", parent: "unknown" }),
      prepare("prepare on an active parent", { key: "x", parent: "active" }),
      prepare("prepare in another namespace", { key: "active" }, { namespace: `${namespace}-other` }),
      prepare("prepare a key of any text", { key: "a b/é\u0001" }),
      on("remove a key of any text", "remove", "a b/é\u0001"),
      view("view an active parent", { key: "x", parent: "active" }),
      view("view without a parent", { key: "empty-view" }),
      on("mounts", "mounts", "active"),
      on("mounts twice", "mounts", "active"),
      on("mounts of a view without a parent", "mounts", "empty-view"),
      on("mounts of an unknown one", "mounts", "unknown"),
      on("stat", "stat", "active"),
      on("stat of an unknown one", "stat", "unknown"),
      on("stat of no key", "stat", ""),
      on("usage of an unknown one", "usage", "unknown"),
      commit("commit", { key: "active", name: "base", labels: { ...kept, a: "1", empty: "" } }),
      on("stat of what was committed", "stat", "base"),
      on("stat of the key that is gone", "stat", "active"),
      on("mounts of what is committed", "mounts", "base"),
      commit("commit an unknown one", { key: "unknown", name: "y" }),
      commit("commit a view", { key: "empty-view", name: "y" }),
      commit("commit what is committed", { key: "base", name: "y" }),
      prepare("prepare on the base", { key: "second", parent: "base" }),
      on("mounts on the base", "mounts", "second"),
      commit("commit to a name that is taken", { key: "second", name: "base" }),
      commit("commit to no name", { key: "second", name: "" }),
      commit("commit to its own key", { key: "second", name: "second" }),
      view("view the base", { key: "view", parent: "base" }),
      on("mounts of the view", "mounts", "view"),
      on("remove what has children", "remove", "base"),
      on("remove", "remove", "view"),
      on("remove twice", "remove", "view"),
      on("remove no key", "remove", ""),
      prepare("prepare on two layers", { key: "third", parent: "second" }),
      on("remove a leaf", "remove", "third"),
      ...labelLimits.map(({ name, labels }, index) =>
        prepare(name, { key: `label-${index}`, labels: { ...labels, ...kept } }),
      ),
      update("update nothing", {}),
      update("update labels", { labels: { ...kept, a: "2", b: "3", none: "" } }, "labels"),
      update("update labels.b", { labels: { b: "4", c: "ignored" } }, "labels.b"),
      update("update labels.b to nothing", {}, "labels.b"),
      update("update labels of a dotted name", { labels: { "x.y/z": "5" } }, "labels.x.y/z"),
      update("update labels that are too long", { labels: { a: "v".repeat(4096) } }, "labels"),
      update("update parent", { parent: "other" }, "parent"),
      update("update name", {}, "name"),
      update("update an empty path", {}, ""),
      update("update an unknown one", { name: "unknown", labels: { a: "1" } }),
      update("update no name", { name: "" }),
      update("update without a mask", { labels: { ...kept, only: "this" }, parent: "other" }),
      on("stat after the updates", "stat", "base"),
      prepare("a remote snapshot that is there", {
        key: "extract",
        labels: { ...kept, "containerd.io/snapshot.ref": "base" },
      }),
      on("stat of the key of a remote snapshot that is there", "stat", "extract"),
      prepare("a remote snapshot that is not", {
        key: "extract",
        labels: { ...kept, "containerd.io/snapshot.ref": "target" },
      }),
      on("stat of the key of a remote snapshot", "stat", "extract"),
      prepare("a remote snapshot with another parent", {
        key: "extract-2",
        parent: "base",
        labels: { ...kept, "containerd.io/snapshot.ref": "base" },
      }),
      commit("commit under the remote name", { key: "extract", name: "target" }),
      ...[
        "",
        "kind",
        "kind==active",
        "kind==view",
        "kind==committed",
        "kind==Committed",
        "name",
        "name==base",
        "name~=^b",
        "parent==base",
        "parent",
        "labels.only==this",
        "labels.none",
        "unknown!=1",
        "name===",
      ].map(list),
      call("list without a filter", "list", { snapshotter }),
      call("list in a namespace that is not there", "list", { snapshotter }, { namespace: `${namespace}-none` }),
      prepare("without a namespace", { key: "x" }, { namespace: [] }),
      prepare("in a malformed namespace", { key: "x" }, { namespace: "a b" }),
      call("view without a namespace", "view", { snapshotter, key: "x" }, { namespace: [] }),
      call("mounts without a namespace", "mounts", { snapshotter, key: "x" }, { namespace: [] }),
      call("commit without a namespace", "commit", { snapshotter, key: "x", name: "y" }, { namespace: [] }),
      call("remove without a namespace", "remove", { snapshotter, key: "x" }, { namespace: [] }),
      call("stat without a namespace", "stat", { snapshotter, key: "x" }, { namespace: [] }),
      call("update without a namespace", "update", { snapshotter, info: { name: "x" } }, { namespace: [] }),
      call("list without a namespace", "list", { snapshotter }, { namespace: [] }),
      call("usage without a namespace", "usage", { snapshotter, key: "x" }, { namespace: [] }),
      call("cleanup without a namespace", "cleanup", { snapshotter }, { namespace: [] }),
      call("cleanup", "cleanup", { snapshotter }),
      ...["second", "empty-view", "base"].map((key) => on(`remove ${key}`, "remove", key)),
    ],
  };
}

const anywhere = callsOf(snapshots.SnapshotsDefinition, { namespace: "snapshots" });

const unnamed: Scenario = {
  name: "snapshots on no snapshotter",
  calls: ["", "unknown", "Overlayfs"].flatMap((snapshotter) => [
    anywhere(`prepare on ${JSON.stringify(snapshotter)}`, "prepare", { snapshotter, key: "k" }),
    anywhere(`view on ${JSON.stringify(snapshotter)}`, "view", { snapshotter, key: "k" }),
    anywhere(`mounts on ${JSON.stringify(snapshotter)}`, "mounts", { snapshotter, key: "k" }),
    anywhere(`commit on ${JSON.stringify(snapshotter)}`, "commit", { snapshotter, key: "k", name: "n" }),
    anywhere(`remove on ${JSON.stringify(snapshotter)}`, "remove", { snapshotter, key: "k" }),
    anywhere(`stat on ${JSON.stringify(snapshotter)}`, "stat", { snapshotter, key: "k" }),
    anywhere(`update on ${JSON.stringify(snapshotter)}`, "update", { snapshotter, info: { name: "k" } }),
    anywhere(`list on ${JSON.stringify(snapshotter)}`, "list", { snapshotter }),
    anywhere(`usage on ${JSON.stringify(snapshotter)}`, "usage", { snapshotter, key: "k" }),
    anywhere(`cleanup on ${JSON.stringify(snapshotter)}`, "cleanup", { snapshotter }),
  ]),
};

export const scenarios: readonly Scenario[] = [scenarioOn("overlayfs"), scenarioOn("native"), unnamed];
