/**
 * What a fact says, in a few words: the line that people read. One entry a fact type; a type that this program does not know shows
 * its plain fields. Never dumps a payload.
 */
import { constants } from "node:os";
import type { FactType } from "../../events/catalogue.ts";
import { Fields, type Value } from "./fields.ts";
import { allLabels, joined, labels, named, type Summary } from "./summary.ts";
import { bytes, counted, printable, shortDigest } from "./text.ts";

const message: Summary = (data) => data.text("message");
const pid: Summary = (data) => `pid ${data.number("pid")}`;
const execId: Summary = (data) => named("exec", data.text("execId"));
const nothing: Summary = () => "";
const collected: Summary = (data) => (data.flag("collected") ? "collected" : "");

const signalNames = new Map(Object.entries(constants.signals).map(([name, number]) => [number as number, name]));
const signalName = (signal: number) => signalNames.get(signal) ?? `signal ${signal}`;

const signal: Summary = (data) =>
  joined(
    signalName(data.number("signal")),
    execId(data),
    data.flag("all") ? "to every process" : "",
    data.text("message"),
  );

/** Of a process that ended: `pid 12 · status 137 (SIGKILL)`. */
const exit: Summary = (data) => {
  const status = data.number("status");
  const killed = status > 128 ? signalNames.get(status - 128) : undefined;
  const known = data.flag("known") ? "" : "the true status is not known";
  return joined(execId(data), pid(data), `status ${status}${killed === undefined ? "" : ` (${killed})`}`, known);
};

const resource: Summary = (data) => `${data.text("type")} ${shortDigest(data.text("id"))}`;
const target = (data: Fields) => named("target", shortDigest(data.under("target").text("digest")));
const parent: Summary = (data) =>
  joined(data.text("parent") === "" ? "empty" : `on ${shortDigest(data.text("parent"))}`, labels(data));
const stoodStill = (containers: readonly Value[]): string =>
  containers.length === 0 ? "" : `${containers.join(", ")} paused`;
const milliseconds = (ns: number): string => `${(ns / 1e6).toFixed(1)} ms`;
const fieldsChanged: Summary = (data) => `changed ${data.names().join(", ")}`;

const summaries: Readonly<Record<FactType, Summary>> = {
  NamespaceCreated: (data) => joined(data.flag("implicit") ? "by the first write within it" : "", labels(data)),
  NamespaceUpdated: allLabels,
  NamespaceDeleted: nothing,
  ContainerCreated: (data) =>
    joined(named("image", data.text("image")), data.under("runtime").text("name"), labels(data)),
  ContainerUpdated: fieldsChanged,
  ContainerDeleted: nothing,
  ImageCreated: (data) => joined(target(data), labels(data)),
  ImageUpdated: (data) => joined(target(data), fieldsChanged(data)),
  ImageDeleted: nothing,
  LeaseCreated: allLabels,
  LeaseResourceAdded: resource,
  LeaseResourceRemoved: resource,
  LeaseDeleted: nothing,
  LeaseExpired: nothing,
  IngestStarted: (data) =>
    joined(
      data.number("total") > 0 ? bytes(data.number("total")) : "",
      named("expected", shortDigest(data.text("expected"))),
    ),
  IngestCommitted: (data) => joined(shortDigest(data.text("digest")), bytes(data.number("size"))),
  IngestAborted: (data) => data.text("reason"),
  BlobCommitted: (data) => joined(bytes(data.number("size")), labels(data)),
  BlobUpdated: allLabels,
  BlobDeleted: collected,
  SnapshotPrepared: parent,
  SnapshotViewed: parent,
  SnapshotCommitted: (data) => `as ${shortDigest(data.text("name"))}`,
  SnapshotSealed: (data) =>
    joined(
      `from ${data.text("key")}`,
      bytes(data.number("size")),
      counted(data.number("inodes"), "inode"),
      labels(data),
    ),
  SnapshotTaking: (data) => joined(`as ${data.text("name")}`, stoodStill(data.list("containers"))),
  SnapshotTaken: (data) =>
    joined(
      `as ${data.text("name")}`,
      data.list("paused").length === 0
        ? ""
        : `${stoodStill(data.list("paused"))} for ${milliseconds(data.number("pausedNs"))}`,
      data.number("sharedBytes") > 0 ? `${bytes(data.number("sharedBytes"))} shared` : "",
      `${bytes(data.number("copiedBytes"))} copied`,
    ),
  SnapshotTakeFailed: (data) => joined(`as ${data.text("name")}`, message(data)),
  SnapshotPictured: (data) =>
    joined(
      `of ${data.under("of").text("key")}`,
      bytes(data.number("size")),
      counted(data.number("inodes"), "inode"),
      labels(data),
    ),
  SnapshotUpdated: allLabels,
  SnapshotRemoved: collected,
  VolumeCreated: (data) => joined(data.text("sharing"), `on ${data.text("snapshotter")}`, labels(data)),
  VolumeMounted: (data) =>
    joined(`in ${data.text("container")}`, data.text("path"), data.flag("readOnly") ? "read-only" : ""),
  VolumeUnmounted: (data) => `in ${data.text("container")}`,
  VolumePictured: (data) => `as ${data.text("picture")}`,
  VolumeRolledBack: (data) => `to ${data.text("picture")}`,
  VolumeRemoved: nothing,
  TaskCreating: (data) => data.text("runtime"),
  TaskCreated: pid,
  TaskCreateFailed: message,
  TaskStarting: nothing,
  TaskStarted: pid,
  TaskStartFailed: message,
  TaskPaused: nothing,
  TaskResumed: nothing,
  TaskSignalling: signal,
  TaskSignalled: signal,
  TaskSignalFailed: signal,
  TaskUpdated: nothing,
  TaskCheckpointing: (data) => joined(named("to", data.text("path")), data.flag("exit") ? "and to end with it" : ""),
  TaskCheckpointed: (data) => (data.list("content").length === 0 ? "" : `${data.list("content").length} blobs`),
  TaskCheckpointFailed: message,
  TaskOomed: nothing,
  TaskShimLost: message,
  TaskShimReplaced: nothing,
  TaskExited: (data) => joined(exit(data), data.flag("oomKilled") ? "out of memory" : ""),
  TaskDeleting: nothing,
  TaskDeleteFailed: message,
  TaskDeleted: exit,
  ExecAdded: execId,
  ExecStarting: execId,
  ExecStarted: (data) => joined(execId(data), pid(data)),
  ExecStartFailed: (data) => joined(execId(data), message(data)),
  ExecExited: exit,
  ExecDeleted: exit,
  GarbageCollected: (data) => `${data.list("removed").length} removed`,
  EntryPut: (data) => joined(data.under("value").text("typeUrl"), bytes(data.under("value").byteLength("value"))),
  EntryDeleted: nothing,
  EventPublished: (data) => joined(data.text("topic"), data.under("event").text("typeUrl")),
};

const plainFields: Summary = (data) => {
  const shown = data.names().map((name) => {
    const value = data.text(name) || (data.number(name) !== 0 ? String(data.number(name)) : "");
    return value === "" ? "" : `${name} ${value}`;
  });
  return joined(...shown);
};

const isKnown = (type: string): type is FactType => Object.hasOwn(summaries, type);

/** May be empty, where the type says it all. Safe for a terminal. */
export function factSummary(type: string, data: Value): string {
  return printable((isKnown(type) ? summaries[type] : plainFields)(new Fields(data)));
}
