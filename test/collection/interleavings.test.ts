import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Marking } from "../../src/collection/marking.ts";
import { unmarked, unreachable } from "../../src/collection/reachable.ts";
import { batches, planRemoval } from "../../src/collection/removal.ts";
import { collectable, nameOf, reachable, Rows } from "./model.ts";
import { type Operation, operation } from "./operations.ts";

type Move = { readonly namespace: string; readonly operate: Operation } | { readonly collect: number };

const move: fc.Arbitrary<Move> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ namespace: fc.constantFrom("a", "b"), operate: operation }) },
  { weight: 2, arbitrary: fc.record({ collect: fc.integer({ min: 1, max: 12 }) }) },
);

/** A collection as the collector makes it, one step at a time; every append is held against the second opinion. */
function* collection(rows: Rows): Generator<void, void, void> {
  const now = rows.now;
  const marking = new Marking(rows.view, now);
  rows.onChange = (namespace, kind, key) => marking.changed(namespace, kind, key);
  yield* marking.run();
  const found = yield* unmarked(rows.view, marking);
  for (const { namespace, entries } of batches(found)) {
    // One entity an append, so that there are as many places to come between as there can be.
    for (const entry of entries) {
      yield;
      const { steps, ended } = planRemoval(rows.view, namespace, [entry], marking, () => false);
      const kept = reachable(rows.view, now);
      for (const { entry: removed } of ended)
        assert.ok(!kept.has(nameOf(removed)), `${nameOf(removed)} is reachable: ${removed.reason}`);
      const position = rows.view.next;
      const facts = rows.append(namespace, steps);
      assert.equal(facts.length, steps.length, "no step of a collection is refused");
      assert.ok(
        facts.slice(1).every(({ cause }) => cause === position),
        "what ends is caused by the fact that names it",
      );
    }
  }
  rows.onChange = undefined;
}

function finish(rows: Rows, collecting: Generator<void, void, void> | undefined): void {
  for (const _ of collecting ?? []);
  for (const _ of collection(rows));
}

test("a collection that others come between never removes what is reachable, and in the end everything unreachable is gone", () => {
  fc.assert(
    fc.property(fc.array(move, { maxLength: 80, size: "max" }), (moves) => {
      const rows = new Rows();
      let collecting: Generator<void, void, void> | undefined;
      for (const each of moves) {
        if ("operate" in each) {
          rows.append(each.namespace, each.operate(rows, each.namespace));
          continue;
        }
        collecting ??= collection(rows);
        for (let step = 0; step < each.collect && collecting !== undefined; step += 1)
          if (collecting.next().done) collecting = undefined;
      }
      finish(rows, collecting);
      const kept = reachable(rows.view, rows.now);
      assert.deepEqual(
        [...collectable(rows.view)].filter((name) => !kept.has(name)),
        [],
      );
    }),
    { numRuns: 3_000 },
  );
});

test("what is called unreachable is everything that the rules do not reach, children before parents", () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ namespace: fc.constantFrom("a", "b"), operate: operation }), { maxLength: 60, size: "max" }),
      (moves) => {
        const rows = new Rows();
        for (const { namespace, operate } of moves) rows.append(namespace, operate(rows, namespace));
        const kept = reachable(rows.view, rows.now);
        const found = unreachable(rows.view, rows.now);
        const names = found.map(nameOf);
        assert.deepEqual(names.toSorted(), [...collectable(rows.view)].filter((name) => !kept.has(name)).sort());
        for (const [index, { namespace, kind, key }] of found.entries()) {
          const parent = kind === "snapshot" && rows.view.snapshots.get(namespace, key)?.parent;
          const at = parent ? names.indexOf(nameOf({ namespace, kind, key: `s/${parent}` })) : -1;
          assert.ok(at === -1 || at > index);
        }
      },
    ),
    { numRuns: 1_000 },
  );
});
