/** What clients do, as arbitrary steps over few names, so that they meet: import, run, tag, prune, lease, upload, and time going by. */
import fc from "fast-check";
import type { Labels } from "../../src/events/catalogue.ts";
import type { Step } from "../../src/ledger.ts";
import type { Rows } from "./model.ts";

export type Operation = (rows: Rows, namespace: string) => readonly Step[];

const DAY_NS = 86_400_000_000_000n;

const digests = ["d0", "d1", "d2", "d3", "d4"] as const;
const keys = ["k0", "k1", "k2", "k3"] as const;
const few = ["x", "y"] as const;

const digest = fc.constantFrom(...digests);
const key = fc.constantFrom(...keys);
const name = fc.constantFrom(...few);
const lease = fc.option(fc.constantFrom("l0", "l1"), { nil: undefined });

/** Relative to now, so that some are past soon and some long after. */
const expiry = fc.option(fc.constantFrom(-1n, 1n, 3n), { nil: undefined });
const expireLabel = (rows: Rows, hours: bigint | undefined): Labels =>
  hours === undefined
    ? {}
    : { "containerd.io/gc.expire": new Date(Number(rows.now / 1_000_000n + hours * 3_600_000n)).toISOString() };

const reference = fc.oneof(
  digest.map((to) => [`containerd.io/gc.ref.content.${to}`, to] as const),
  digest.map((to) => ["containerd.io/gc.ref.content", to] as const),
  key.map((to) => ["containerd.io/gc.ref.snapshot.s", to] as const),
  key.map((to) => ["containerd.io/gc.ref.snapshot.s/other", to] as const),
  name.map((to) => ["containerd.io/gc.ref.image.z", to] as const),
  digest.map((to) => ["containerd.io/gc.bref.content", to] as const),
  name.map((to) => ["containerd.io/gc.bref.image/a", to] as const),
  name.map((to) => ["containerd.io/gc.bref.container", to] as const),
  key.map((to) => ["containerd.io/gc.bref.snapshot.s", to] as const),
  fc.constantFrom(["containerd.io/gc.refusal", "d0"] as const, ["containerd.io/gc.ref.contents", "d0"] as const),
);
const labels: fc.Arbitrary<Labels> = fc
  .tuple(fc.array(reference, { maxLength: 3 }), fc.integer({ min: 0, max: 9 }))
  .map(([references, chance]) =>
    Object.fromEntries([...references, ...(chance === 0 ? [["containerd.io/gc.root", "now"] as const] : [])]),
  );

/** What the lease header adds to the append; the whole of it is refused when there is no such lease. */
const hold = (id: string | undefined, type: string, held: string): Step[] =>
  id === undefined
    ? []
    : [{ kind: "lease", key: id, command: { type: "AddLeaseResource", id, resource: { type, id: held } } }];

const target = (to: string) => ({ mediaType: "m", digest: to, size: 1, annotations: {} });

const row = (rows: Rows, namespace: string, at: string) => rows.view.snapshots.get(namespace, `s/${at}`);

export const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.tuple(fc.constantFrom("l0", "l1"), expiry, fc.boolean()).map(
    ([id, hours, flat]): Operation =>
      (rows) => [
        {
          kind: "lease",
          key: id,
          command: {
            type: "CreateLease",
            id,
            labels: { ...expireLabel(rows, hours), ...(flat && { "containerd.io/gc.flat": "" }) },
          },
        },
      ],
  ),
  fc.constantFrom("l0", "l1").map(
    (id): Operation =>
      () => [{ kind: "lease", key: id, command: { type: "DeleteLease", id } }],
  ),
  fc
    .tuple(
      fc.constantFrom("l0", "l1"),
      fc.constantFrom("AddLeaseResource" as const, "RemoveLeaseResource" as const),
      fc.oneof(
        digest.map((id) => ({ type: "content", id })),
        key.map((id) => ({ type: "snapshots/s", id })),
        name.map((id) => ({ type: "ingests", id })),
        name.map((id) => ({ type: "images", id })),
      ),
    )
    .map(
      ([id, type, resource]): Operation =>
        () => [{ kind: "lease", key: id, command: { type, id, resource } }],
    ),
  fc.tuple(digest, labels, lease).map(
    ([at, given, held]): Operation =>
      () => [
        { kind: "blob", key: at, command: { type: "CommitBlob", digest: at, size: 1, labels: given } },
        ...hold(held, "content", at),
      ],
  ),
  fc.tuple(digest, labels).map(
    ([at, given]): Operation =>
      () => [{ kind: "blob", key: at, command: { type: "UpdateBlob", digest: at, labels: given } }],
  ),
  digest.map(
    (at): Operation =>
      () => [{ kind: "blob", key: at, command: { type: "DeleteBlob", digest: at } }],
  ),
  fc.tuple(name, digest, labels, expiry).map(
    ([at, to, given, hours]): Operation =>
      (rows, namespace) => {
        const described = { name: at, target: target(to), labels: { ...given, ...expireLabel(rows, hours) } };
        const type = rows.view.images.get(namespace, at) === undefined ? "CreateImage" : "UpdateImage";
        return [{ kind: "image", key: at, command: { type, ...described } }];
      },
  ),
  name.map(
    (at): Operation =>
      () => [{ kind: "image", key: at, command: { type: "DeleteImage", name: at } }],
  ),
  fc.tuple(key, fc.option(key, { nil: undefined }), labels, lease).map(
    ([at, parent, given, held]): Operation =>
      (rows, namespace) => {
        const observedParent = parent === undefined ? "none" : (row(rows, namespace, parent)?.status ?? "absent");
        const command = {
          type: "PrepareSnapshot",
          key: at,
          id: at,
          parent: parent ?? "",
          observedParent,
          labels: given,
        } as const;
        return [{ kind: "snapshot", key: `s/${at}`, command }, ...hold(held, "snapshots/s", at)];
      },
  ),
  fc.tuple(key, key, labels, lease).map(
    ([from, to, given, held]): Operation =>
      (rows, namespace) => {
        const active = row(rows, namespace, from);
        if (active === undefined || from === to) return [];
        const nameTaken = row(rows, namespace, to) !== undefined;
        const sealed = {
          type: "SealSnapshot",
          name: to,
          key: from,
          id: active.id,
          parent: active.parent,
          labels: given,
          size: 0,
          inodes: 0,
        } as const;
        return [
          { kind: "snapshot", key: `s/${from}`, command: { type: "CommitSnapshot", key: from, name: to, nameTaken } },
          { kind: "snapshot", key: `s/${to}`, command: sealed },
          ...hold(held, "snapshots/s", to),
        ];
      },
  ),
  key.map(
    (at): Operation =>
      (rows, namespace) => [
        {
          kind: "snapshot",
          key: `s/${at}`,
          command: { type: "RemoveSnapshot", key: at, children: rows.view.snapshotChildren(namespace, `s/${at}`) },
        },
      ],
  ),
  fc.tuple(key, labels).map(
    ([at, given]): Operation =>
      () => [{ kind: "snapshot", key: `s/${at}`, command: { type: "UpdateSnapshot", key: at, labels: given } }],
  ),
  fc.tuple(name, key, labels).map(
    ([id, snapshotKey, given]): Operation =>
      () => {
        const rest = {
          image: "",
          runtime: { name: "", options: null },
          spec: { typeUrl: "", value: new Uint8Array() },
          extensions: {},
          sandbox: "",
        };
        return [
          {
            kind: "container",
            key: id,
            command: { type: "CreateContainer", id, labels: given, snapshotter: "s", snapshotKey, ...rest },
          },
        ];
      },
  ),
  name.map(
    (id): Operation =>
      () => [{ kind: "container", key: id, command: { type: "DeleteContainer", id } }],
  ),
  fc.tuple(name, digest, lease).map(
    ([ref, expected, held]): Operation =>
      () => [
        {
          kind: "ingest",
          key: ref,
          command: { type: "StartIngest", ref, total: 0, expected, leased: held !== undefined },
        },
        ...hold(held, "ingests", ref),
      ],
  ),
  fc.tuple(name, digest, labels, lease).map(
    ([ref, at, given, held]): Operation =>
      () => [
        { kind: "ingest", key: ref, command: { type: "CommitIngest", ref, digest: at, size: 1 } },
        { kind: "blob", key: at, command: { type: "CommitBlob", digest: at, size: 1, labels: given } },
        ...hold(held, "content", at),
      ],
  ),
  fc.constantFrom(DAY_NS / 24n, DAY_NS).map(
    (by): Operation =>
      (rows) => {
        rows.now += by;
        return [];
      },
  ),
);
