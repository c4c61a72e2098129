import assert from "node:assert/strict";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { ShiplogError } from "../../src/error.ts";
import type { Fact } from "../../src/events/mod.ts";
import type { Step } from "../../src/ledger.ts";
import { Files } from "../../src/platform/mod.ts";
import { core, type Projection, RowStore, Tables } from "../../src/projections/mod.ts";
import { step } from "../harness/commands.ts";
import { type OpenLedger, openLedgerIn, testOrigin } from "../harness/ledger.ts";
import { temporaryDirectory } from "../harness/temporary.ts";

const projectionOf = (root: string) => join(root, "projections", "core");

async function rowsDirectory(root: string): Promise<string> {
  const names = (await readdir(projectionOf(root))).filter((name) => name !== "CURRENT");
  assert.equal(names.length, 1, "one build of rows is kept");
  return join(projectionOf(root), names[0]!);
}

/** Every key and value on disk, as text. */
async function entriesOf(root: string): Promise<string[]> {
  const store = await RowStore.open(await rowsDirectory(root), { readOnly: true });
  const entries: string[] = [];
  for await (const { key, value } of store.entries()) entries.push(`${key.toString("base64")} ${value.toString("base64")}`);
  await store.close();
  return entries;
}

/** Carries out each step that is legal; the others are refused and leave nothing. */
async function perform({ ledger }: OpenLedger, steps: readonly Step[]): Promise<void> {
  for (const each of steps) {
    await ledger.transact(testOrigin("a"), () => [each]).catch((error: unknown) => {
      if (!(error instanceof ShiplogError)) throw error;
    });
  }
}

const steps = fc.array(step, { minLength: 1, maxLength: 60 });

test("tables removed and rebuilt at start are byte for byte the same", async (t) => {
  const directory = await temporaryDirectory(t);
  let run = 0;
  await fc.assert(
    fc.asyncProperty(steps, async (sequence) => {
      const root = join(directory, String(run++));
      const first = await openLedgerIn(root);
      await perform(first, sequence);
      await first.close();
      const before = await entriesOf(root);
      await rm(join(root, "projections"), { recursive: true });
      await (await openLedgerIn(root)).close();
      assert.deepEqual(await entriesOf(root), before);
    }),
    { numRuns: 15 },
  );
});

test("tables reopened in the middle of a history end up the same as those never closed", async (t) => {
  const directory = await temporaryDirectory(t);
  let run = 0;
  await fc.assert(
    fc.asyncProperty(steps, fc.nat(59), async (sequence, cut) => {
      const root = join(directory, String(run++));
      let open = await openLedgerIn(root);
      await perform(open, sequence.slice(0, cut));
      await open.close();
      open = await openLedgerIn(root);
      await perform(open, sequence.slice(cut));
      const comparison = await open.tables.check();
      assert.deepEqual(comparison.differences, []);
      await open.close();
      const before = await entriesOf(root);
      await rm(join(root, "projections"), { recursive: true });
      await (await openLedgerIn(root)).close();
      assert.deepEqual(await entriesOf(root), before);
    }),
    { numRuns: 15 },
  );
});

test("rows as of a position are the heads that stood there", async (t) => {
  const directory = await temporaryDirectory(t);
  let run = 0;
  await fc.assert(
    fc.asyncProperty(steps, async (sequence) => {
      const open = await openLedgerIn(join(directory, String(run++)));
      const heads: { next: number; rows: unknown[] }[] = [];
      for (const each of sequence) {
        await perform(open, [each]);
        const { view } = open.ledger;
        const tables = [view.images, view.leases, view.namespaces, view.tasks];
        heads.push({ next: view.next, rows: tables.flatMap((table) => [...table.all()].map(({ row }) => row)) });
      }
      for (const { next, rows } of heads) {
        const found: unknown[] = [];
        for await (const { row } of open.tables.rowsAt(next)) found.push(row);
        assert.deepEqual(new Set(found.map(printable)), new Set(rows.map(printable)));
        assert.equal(found.length, rows.length);
      }
      await open.close();
    }),
    { numRuns: 10 },
  );
});

const printable = (row: unknown) => JSON.stringify(row, (_key, value) => (typeof value === "bigint" ? `${value}n` : value));

test("a row that is not what the log says is named by a check and mended by a rebuild", async (t) => {
  const root = await temporaryDirectory(t);
  const open = await openLedgerIn(root);
  await open.ledger.transact(testOrigin("a"), () => [createLease("kept")]);
  await open.close();
  const store = await RowStore.open(await rowsDirectory(root));
  const forged = { table: "lease", namespace: "a", key: "forged", version: 0, position: 1, row: { status: "present" } };
  await store.write([forged], store.checkpoint!);
  await store.close();
  const again = await openLedgerIn(root);
  const { differences } = await again.tables.check();
  assert.ok(differences.some((text) => text.includes("lease/forged of namespace a")), differences.join("\n"));
  const rebuilt = await again.tables.rebuild();
  assert.equal(rebuilt.identical, false);
  assert.deepEqual((await again.tables.check()).differences, []);
  await again.close();
});

test("a rebuild goes on beside appends and swaps without a missing row", async (t) => {
  const root = await temporaryDirectory(t);
  const open = await openLedgerIn(root);
  const lease = async (id: string) => open.ledger.transact(testOrigin("a"), () => [createLease(id)]);
  for (let id = 0; id < 200; id += 1) await lease(`before-${id}`);
  const rebuilding = open.tables.rebuild();
  for (let id = 0; id < 200; id += 1) await lease(`during-${id}`);
  assert.equal((await rebuilding).identical, true);
  for (let id = 0; id < 10; id += 1) await lease(`after-${id}`);
  const rows: string[] = [];
  for await (const { table, key } of open.tables.rowsAt(open.ledger.view.next)) if (table === "lease") rows.push(key);
  assert.equal(rows.length, 410);
  assert.deepEqual((await open.tables.check()).differences, []);
  await open.close();
  await rowsDirectory(root);
});

test("a raised projection version is built beside the old rows, which are then removed", async (t) => {
  const root = await temporaryDirectory(t);
  const open = await openLedgerIn(root);
  await open.ledger.transact(testOrigin("a"), () => [createLease("kept")]);
  await open.close();
  const before = await rowsDirectory(root);
  const raised: Projection = {
    ...core,
    version: core.version + 1,
    apply(row, fact: Fact) {
      const change = core.apply(row, fact);
      return change === undefined || change.row === null ? change : { ...change, row: { ...(change.row as object), raised: true } };
    },
  };
  const { log, close } = await openLedgerIn(root);
  const tables = await Tables.open({ root, files: new Files(), projection: raised, log, onFatal: () => {}, onDiscarded: () => {} });
  assert.equal((tables.heads.state("lease", "a", "kept") as { raised?: boolean }).raised, true);
  await tables.close();
  await close();
  assert.notEqual(await rowsDirectory(root), before);
});

test("rows of another log are discarded", async (t) => {
  const directory = await temporaryDirectory(t);
  const [one, other] = [join(directory, "one"), join(directory, "other")];
  for (const root of [one, other]) {
    const open = await openLedgerIn(root);
    await open.ledger.transact(testOrigin("a"), () => [createLease(root)]);
    await open.close();
  }
  await rm(join(other, "projections"), { recursive: true });
  const { cp } = await import("node:fs/promises");
  await cp(join(one, "projections"), join(other, "projections"), { recursive: true });
  const open = await openLedgerIn(other);
  assert.deepEqual([...open.ledger.view.leases.all()].map(({ key }) => key), [other]);
  await open.close();
});

const createLease = (id: string): Step => ({ kind: "lease", key: id, command: { type: "CreateLease", id, labels: {} } });
