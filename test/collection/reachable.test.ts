/** What is kept, and the words that say why the rest is not. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { expiryOf } from "../../src/collection/expiry.ts";
import { Marking } from "../../src/collection/marking.ts";
import { unmarked, unreachable } from "../../src/collection/reachable.ts";
import type { Labels } from "../../src/events/catalogue.ts";
import type { Step } from "../../src/ledger.ts";
import { Rows } from "./model.ts";

const hourNs = 3_600_000_000_000n;
const iso = (time: bigint) => new Date(Number(time / 1_000_000n)).toISOString();

const blob = (digest: string, labels: Labels = {}): Step => ({
  kind: "blob",
  key: digest,
  command: { type: "CommitBlob", digest, size: 1, labels },
});
const image = (name: string, digest: string, labels: Labels = {}): Step => ({
  kind: "image",
  key: name,
  command: { type: "CreateImage", name, target: { mediaType: "m", digest, size: 1, annotations: {} }, labels },
});
const snapshot = (key: string, parent = "", labels: Labels = {}): Step => ({
  kind: "snapshot",
  key,
  command: { type: "SealSnapshot", name: key, key, id: key, parent, labels, size: 0, inodes: 0 },
});
const ingest = (ref: string, expected: string, leased = false): Step => ({
  kind: "ingest",
  key: ref,
  command: { type: "StartIngest", ref, total: 0, expected, leased },
});
const lease = (id: string, resources: readonly [type: string, id: string][], labels: Labels = {}): Step[] => [
  { kind: "lease", key: id, command: { type: "CreateLease", id, labels } },
  ...resources.map(
    ([type, held]): Step => ({
      kind: "lease",
      key: id,
      command: { type: "AddLeaseResource", id, resource: { type, id: held } },
    }),
  ),
];

function rowsOf(...steps: readonly Step[]): Rows {
  const rows = new Rows();
  assert.ok(rows.append("n", steps).length > steps.length);
  return rows;
}
const gone = (rows: Rows): Readonly<Record<string, string>> =>
  Object.fromEntries(unreachable(rows.view, rows.now).map(({ kind, key, reason }) => [`${kind} ${key}`, reason]));
const names = (rows: Rows): string[] => Object.keys(gone(rows)).sort();

test("content is kept by labels alone when an image leads to it", () => {
  const rows = rowsOf(
    image("i", "index", { "containerd.io/gc.ref.snapshot.s/extra": "x" }),
    blob("index", { "containerd.io/gc.ref.content.m.0": "manifest", "containerd.io/gc.ref.contents": "no" }),
    blob("manifest", { "containerd.io/gc.ref.content/l": "layer", "containerd.io/gc.ref.snapshot.s": "top" }),
    ...[
      blob("layer"),
      blob("no"),
      snapshot("s/base"),
      snapshot("s/top", "base"),
      snapshot("s/x"),
      snapshot("other/top"),
    ],
  );
  assert.deepEqual(gone(rows), {
    "blob no": "no lease, image, container or label refers to it",
    "snapshot other/top": "no lease, image, container or label refers to it",
  });
});

test("a lease holds what it names until it has expired, and the reason says since when", () => {
  const held = (expire: (now: bigint) => string) => {
    const labels = { "containerd.io/gc.expire": expire(new Rows().now) };
    return rowsOf(
      blob("a", { "containerd.io/gc.ref.content": "b" }),
      blob("b"),
      ...lease("l", [["content", "a"]], labels),
    );
  };
  assert.deepEqual(names(held((now) => iso(now + hourNs))), []);
  assert.deepEqual(names(held((now) => iso(now))), [], "at its very time it still holds");
  assert.deepEqual(names(held(() => "soon")), [], "what is no time is ignored");
  const passed = iso(new Rows().now - hourNs);
  assert.deepEqual(gone(held(() => passed)), {
    "lease l": `expired at ${passed}`,
    "blob a": `held only by lease l, which expired at ${passed}`,
    "blob b": "only blob a refers to it, which is unreachable too",
  });
});

test("a flat lease keeps what it names and the parents of snapshots when those refer to more", () => {
  const resources: [string, string][] = [
    ["content", "a"],
    ["snapshots/s", "top"],
    ["ingests", "r"],
  ];
  const steps = [
    ...[blob("a", { "containerd.io/gc.ref.content": "b" }), blob("b"), blob("c"), blob("e"), snapshot("s/base")],
    ...[snapshot("s/top", "base", { "containerd.io/gc.ref.content": "c" }), ingest("r", "e", true)],
    ...lease("l", resources, { "containerd.io/gc.flat": "" }),
  ];
  assert.deepEqual(names(rowsOf(...steps)), ["blob b", "blob c"]);
  assert.deepEqual(
    names(rowsOf(...steps, image("i", "a"))),
    ["blob c"],
    "what is kept flat is followed when something else leads to it",
  );
});

test("an ingest is kept with what it expects for a day, or as long as a lease holds it when it was begun under one", () => {
  const rows = rowsOf(
    blob("a"),
    blob("b"),
    blob("c"),
    ingest("plain", "a"),
    ingest("left", "b", true),
    ingest("held", "c", true),
    ...lease("l", [["ingests", "held"]]),
  );
  assert.deepEqual(gone(rows), {
    "ingest left": "no lease holds it any more",
    "blob b": "only ingest left refers to it, which is unreachable too",
  });
  rows.now += 24n * hourNs;
  assert.deepEqual(names(rows), ["blob b", "ingest left"]);
  rows.now += 1n;
  assert.deepEqual(names(rows), ["blob a", "blob b", "ingest left", "ingest plain"]);
});

test("snapshots come before their parents when a whole tree goes", () => {
  const rows = rowsOf(
    snapshot("s/a"),
    snapshot("s/b", "a"),
    snapshot("s/c", "b"),
    snapshot("s/d", "a"),
    snapshot("s/e", "b"),
  );
  const order = unreachable(rows.view, rows.now).map(({ key }) => key);
  assert.equal(order.length, 5);
  for (const { key, row } of rows.view.snapshots.all())
    if (row.parent !== "") assert.ok(order.indexOf(key) < order.indexOf(`s/${row.parent}`));
});

test("what was marked flat is followed once something refers to the whole of it, also when that comes later", () => {
  const rows = new Rows();
  rows.append("n", [
    { kind: "lease", key: "l", command: { type: "CreateLease", id: "l", labels: { "containerd.io/gc.flat": "" } } },
    blob("a", { "containerd.io/gc.ref.content": "b" }),
    blob("b"),
    { kind: "lease", key: "l", command: { type: "AddLeaseResource", id: "l", resource: { type: "content", id: "a" } } },
  ]);
  const marking = new Marking(rows.view, rows.now);
  for (const _ of marking.run());
  assert.equal(marking.isMarked("n", "blob", "b"), false);
  rows.append("n", [image("i", "a")]);
  marking.changed("n", "image", "i");
  marking.settleNow();
  assert.equal(marking.isMarked("n", "blob", "b"), true);
});

test("one namespace's references keep nothing in another", () => {
  const rows = new Rows();
  rows.append("a", [image("i", "d")]);
  rows.append("b", [blob("d")]);
  assert.deepEqual(
    unreachable(rows.view, rows.now).map(({ namespace, key }) => [namespace, key]),
    [["b", "d"]],
  );
});

test("what is removed and made again during the listing is listed once", () => {
  const rows = new Rows();
  rows.append("n", [blob("a"), blob("b")]);
  const marking = new Marking(rows.view, rows.now);
  for (const _ of marking.run());
  const listing = unmarked(rows.view, marking);
  listing.next();
  rows.append("n", [{ kind: "blob", key: "a", command: { type: "DeleteBlob", digest: "a" } }]);
  rows.append("n", [blob("a")]);
  let step = listing.next();
  while (!step.done) step = listing.next();
  assert.deepEqual(step.value.map(({ key }) => key).sort(), ["a", "b"]);
});

test("expiry is read as Go reads RFC 3339, and what is no such time expires nothing", () => {
  const expiry = (text: string) => expiryOf({ "containerd.io/gc.expire": text });
  assert.equal(expiry("1970-01-01T00:00:01Z"), 1_000_000_000n);
  assert.equal(expiry("1970-01-01T01:00:00.000000001+01:00"), 1n);
  assert.equal(expiry("1969-12-31T22:59:59-01:00"), -1_000_000_000n);
  for (const text of [
    "",
    "1970-01-01",
    "1970-01-01 00:00:01Z",
    "1970-02-30T00:00:00Z",
    "1970-01-01T24:00:00Z",
    "1970-01-01t00:00:00z",
  ])
    assert.equal(expiry(text), undefined, text);
  assert.equal(expiryOf({}), undefined);
});
