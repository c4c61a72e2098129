import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { ShiplogError } from "../../src/error.ts";
import type { Step } from "../../src/ledger.ts";
import { kinds, type LivingRow, type RowName, type Selection } from "../../src/projections/mod.ts";
import { compareRowNames } from "../../src/projections/row-key.ts";
import { namespaces, step } from "../harness/commands.ts";
import { eventually } from "../harness/eventually.ts";
import { type OpenLedger, openLedgerIn, testOrigin } from "../harness/ledger.ts";
import { temporaryDirectory } from "../harness/temporary.ts";

/** Names in which every part continues another: what a range takes too much or too little shows. */
const names = ["r", "r/x", "r/x/y", "r-x", "r.x", "r0", "r\u0000x", "rx", "é", "😀", "\uffff"];

const put = (namespace: string, key: string, byte: number): Step => ({
  kind: "entry",
  namespace,
  key,
  command: { type: "PutEntry", name: key, value: { typeUrl: "t", value: Buffer.of(byte) } },
});
const entry = fc.oneof(
  fc.tuple(fc.constantFrom(...namespaces), fc.constantFrom(...names), fc.nat(2)).map((each) => put(...each)),
  fc
    .tuple(fc.constantFrom(...namespaces), fc.constantFrom(...names))
    .map(([namespace, key]): Step => ({ kind: "entry", namespace, key, command: { type: "DeleteEntry", name: key } })),
);
const steps = fc.array(fc.oneof(step, { weight: 3, arbitrary: entry }), { maxLength: 60 });

const everything: Selection = { stretches: kinds.map((table) => ({ table, namespace: "" })), matches: () => true };

/** A selection, and what it says in other words. */
const selection: fc.Arbitrary<Selection> = fc.oneof(
  fc.constant(everything),
  fc.constantFrom(...namespaces).map((namespace) => ({
    stretches: kinds.map((table) => ({ table, namespace, key: "" })),
    matches: (name: RowName) => name.namespace === namespace,
  })),
  fc.tuple(fc.constantFrom(...namespaces), fc.constantFrom(...names, "x")).map(([namespace, key]) => ({
    stretches: ["entry", "image"].flatMap((table) => [
      { table, namespace, key, exact: true },
      { table, namespace, key: `${key}/` },
    ]),
    matches: (name: RowName) =>
      ["entry", "image"].includes(name.table) &&
      name.namespace === namespace &&
      (name.key === key || name.key.startsWith(`${key}/`)),
  })),
);

async function perform({ ledger }: OpenLedger, sequence: readonly Step[]): Promise<void> {
  for (const each of sequence) {
    await ledger
      .transact(testOrigin("a"), () => [each])
      .catch((error: unknown) => {
        if (!(error instanceof ShiplogError)) throw error;
      });
  }
}

/** The heads that the selection takes, in order. */
function headsOf({ tables }: OpenLedger, { matches }: Selection): LivingRow[] {
  const rows = kinds.flatMap((table) =>
    [...tables.heads.rows(table)].map(({ namespace, key, head }) => ({ table, namespace, key, head })),
  );
  return rows.filter(matches).sort(compareRowNames);
}

const rowsOf = (open: OpenLedger, wanted: Selection) => open.tables.look((look) => Array.fromAsync(look.rows(wanted)));

test("a look has the rows of a selection in order, each as it is", async (t) => {
  const directory = await temporaryDirectory(t);
  let run = 0;
  await fc.assert(
    fc.asyncProperty(steps, fc.array(selection, { minLength: 1, maxLength: 4 }), async (sequence, selections) => {
      const open = await openLedgerIn(join(directory, String(run++)));
      await perform(open, sequence);
      for (const wanted of selections) assert.deepEqual(await rowsOf(open, wanted), headsOf(open, wanted));
      await open.close();
    }),
    { numRuns: 25 },
  );
});

test("pages of a list show the rows as of its first page, whatever happens between them", async (t) => {
  const directory = await temporaryDirectory(t);
  let run = 0;
  await fc.assert(
    fc.asyncProperty(
      steps,
      selection,
      fc.array(steps, { maxLength: 6 }),
      fc.integer({ min: 1, max: 4 }),
      async (...given) => {
        const [first, wanted, between, length] = given;
        const open = await openLedgerIn(join(directory, String(run++)));
        await perform(open, first);
        const expected = headsOf(open, wanted);
        const asOf = open.ledger.view.next;
        const listed: LivingRow[] = [];
        for (let page = 0; ; page += 1) {
          const after = listed.at(-1);
          const rows = await open.tables.look(async (look) => {
            const found: LivingRow[] = [];
            for await (const row of look.rows(wanted, { asOf, ...(after !== undefined && { after }) })) {
              found.push(row);
              if (found.length === length) break;
            }
            return found;
          });
          listed.push(...rows);
          if (rows.length < length) break;
          await perform(open, between[page] ?? []);
        }
        assert.deepEqual(listed, expected);
        await open.close();
      },
    ),
    { numRuns: 25 },
  );
});

test("a look goes on beside a rebuild that swaps the rows", async (t) => {
  const root = await temporaryDirectory(t);
  const open = await openLedgerIn(root);
  const inUse = () => readFile(join(root, "projections", "core", "CURRENT"), "utf8");
  const old = await inUse();
  await perform(
    open,
    names.map((key) => put("a", key, 0)),
  );
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  const { promise: swapped, resolve: swap } = Promise.withResolvers<void>();
  const looking = open.tables.look(async (look) => {
    begin();
    await swapped;
    return Array.fromAsync(look.rows(everything));
  });
  await begun;
  const rebuilding = open.tables.rebuild();
  await eventually("other rows are in use", async () => ((await inUse()) === old ? undefined : true));
  await perform(open, [put("a", "r", 1)]);
  swap();
  const looked = (await looking).filter(({ table }) => table === "entry");
  assert.deepEqual(looked.map(({ key }) => key).sort(), [...names].sort());
  assert.equal((await rebuilding).identical, true);
  assert.deepEqual(await rowsOf(open, everything), headsOf(open, everything));
  await open.close();
});

test("a look that is as of too long ago is refused", async (t) => {
  const open = await openLedgerIn(await temporaryDirectory(t));
  // One append of many facts, for the bound is on facts.
  const many = Array.from({ length: 5_001 }, (_, index) => put("a", "r", index % 2));
  for (let round = 0; round < 10; round += 1) await open.ledger.transact(testOrigin("a"), () => many);
  await assert.rejects(
    open.tables.look((look) => Array.fromAsync(look.rows(everything, { asOf: 1 }))),
    { name: "ShiplogError", class: "OutOfRange", reason: "ListTooOld" },
  );
  await open.close();
});
