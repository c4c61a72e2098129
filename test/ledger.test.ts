import assert from "node:assert/strict";
import { test } from "node:test";
import { ShiplogError } from "../src/error.ts";
import type { Step } from "../src/ledger.ts";
import { type OpenLedger, openLedgerIn, testOrigin } from "./harness/ledger.ts";
import { temporaryDirectory } from "./harness/temporary.ts";

const createLease = (id: string): Step => ({ kind: "lease", key: id, command: { type: "CreateLease", id, labels: {} } });
const deleteLease = (id: string): Step => ({ kind: "lease", key: id, command: { type: "DeleteLease", id } });

async function allFacts({ log }: OpenLedger) {
  const facts = [];
  for await (const batch of log.read({ from: 0 })) facts.push(...batch);
  return facts;
}

test("transact appends what its steps decide as one append, and makes the namespace with the first", async (t) => {
  const open = await openLedgerIn(await temporaryDirectory(t));
  const { next, facts } = await open.ledger.transact(testOrigin("ns"), () => [createLease("one"), createLease("two")]);
  assert.deepEqual(facts.map(({ type, stream }) => [type, stream]), [
    ["NamespaceCreated", "namespace/ns"],
    ["LeaseCreated", "lease/one"],
    ["LeaseCreated", "lease/two"],
  ]);
  assert.equal(next, 3);
  assert.equal(open.log.durableNext, 3);
  await open.close();
});

test("transact records nothing when one step is refused", async (t) => {
  const open = await openLedgerIn(await temporaryDirectory(t));
  await open.ledger.transact(testOrigin("ns"), () => [createLease("one")]);
  await assert.rejects(
    open.ledger.transact(testOrigin("ns"), () => [createLease("two"), createLease("one")]),
    (error) => error instanceof ShiplogError && error.class === "AlreadyExists",
  );
  assert.equal(open.ledger.view.leases.get("ns", "two"), undefined);
  assert.equal((await allFacts(open)).length, 2);
  await open.close();
});

test("transact lets exactly one of many concurrent creates win", async (t) => {
  const open = await openLedgerIn(await temporaryDirectory(t));
  const results = await Promise.allSettled(
    Array.from({ length: 100 }, () => open.ledger.transact(testOrigin("ns"), () => [createLease("one")])),
  );
  assert.equal(results.filter(({ status }) => status === "fulfilled").length, 1);
  await open.close();
});

test("stream versions go on where they were when an entity is made again, also after a restart", async (t) => {
  const root = await temporaryDirectory(t);
  let open = await openLedgerIn(root);
  for (const step of [createLease("one"), deleteLease("one"), createLease("one"), deleteLease("one")]) {
    await open.ledger.transact(testOrigin("ns"), () => [step]);
  }
  await open.close();
  open = await openLedgerIn(root);
  const { facts } = await open.ledger.transact(testOrigin("ns"), () => [createLease("one")]);
  assert.deepEqual(facts.map(({ version }) => version), [4]);
  await open.close();
});

test("a payload too large for a record is attached and reads back equal", async (t) => {
  const root = await temporaryDirectory(t);
  let open = await openLedgerIn(root);
  const value = Buffer.alloc(300_000, "spec ");
  const create: Step = {
    kind: "container",
    key: "big",
    command: {
      type: "CreateContainer",
      id: "big",
      labels: {},
      image: "",
      runtime: { name: "io.containerd.runc.v2", options: null },
      spec: { typeUrl: "spec", value },
      snapshotter: "",
      snapshotKey: "",
      extensions: {},
      sandbox: "",
    },
  };
  await open.ledger.transact(testOrigin("ns"), () => [create]);
  const [, fact] = await allFacts(open);
  assert.ok(value.equals((fact!.data as { spec: { value: Buffer } }).spec.value));
  await open.close();
  open = await openLedgerIn(root);
  assert.ok(value.equals(open.ledger.view.containers.get("ns", "big")!.spec!.value));
  await open.close();
});

test("until answers when the watched stream gets there, and not before it is durable", async (t) => {
  const open = await openLedgerIn(await temporaryDirectory(t));
  const watched = { kind: "lease", namespace: "ns", key: "one" } as const;
  const waiting = open.ledger.until(watched, (view) => view.leases.get("ns", "one"), new AbortController().signal);
  await open.ledger.transact(testOrigin("ns"), () => [createLease("other")]);
  await open.ledger.transact(testOrigin("ns"), () => [createLease("one")]);
  const { next, value } = await waiting;
  assert.equal(value.status, "present");
  assert.ok(open.log.durableNext >= next);
  await open.close();
});

test("until rejects with the signal's reason", async (t) => {
  const open = await openLedgerIn(await temporaryDirectory(t));
  const controller = new AbortController();
  const watched = { kind: "lease", namespace: "ns", key: "one" } as const;
  const waiting = open.ledger.until(watched, () => undefined, controller.signal);
  controller.abort(new Error("the client left"));
  await assert.rejects(waiting, /the client left/);
  await open.close();
});

test("no acknowledged fact is lost when a sync fails, whichever one it is", async (t) => {
  const root = await temporaryDirectory(t);
  for (let failing = 1; failing <= 4; failing += 1) {
    let syncs = 0;
    const open = await openLedgerIn(`${root}/${failing}`, (operation) => {
      if (operation === "log.fdatasync" && ++syncs === failing) throw new Error("the disk is gone");
    });
    const acknowledged: string[] = [];
    for (let id = 0; id < 6; id += 1) {
      await open.ledger.transact(testOrigin("ns"), () => [createLease(`l${id}`)]).then(
        () => acknowledged.push(`l${id}`),
        () => undefined,
      );
    }
    assert.ok(acknowledged.length < 6);
    await open.close().catch(() => undefined);
    const again = await openLedgerIn(`${root}/${failing}`);
    for (const id of acknowledged) assert.ok(again.ledger.view.leases.get("ns", id), `${id} is there after sync ${failing} failed`);
    await again.close();
  }
});
