/** The search for an order: histories that have one, histories that have none, and a runtime that loses what two clients do at once. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type Answer,
  type Call,
  clientsOf,
  commandTypes,
  type Endpoint,
  inProcess,
  linearize,
  mixtures,
  NotLinearizable,
  readScript,
  runConcurrently,
  shiplog,
  World,
} from "../../src/testing/mod.ts";
import { pictureOf } from "../../src/testing/picture.ts";

const SEED = 20_261_124;

/** `<began>-<ended> <code> <command>`, one call a line. What is replied is what an empty runtime would reply. */
function history(text: string): readonly Call[] {
  const lines = text.trim().split("\n");
  return lines.map((line) => {
    const [, began, ended, code, command] = /^\s*(\d+)-(\d+) (\w+) (.*)$/.exec(line)!;
    const [asked] = readScript(command!, commandTypes);
    const value = code === "OK" ? asked!.predict(World.empty(shiplog))!.answer.value : undefined;
    return { command: asked!, answer: { code: code!, value }, began: Number(began), ended: Number(ended) };
  });
}

const order = (text: string, leases: readonly string[]) => {
  const seen = { leases: leases.map((id) => ({ id, labels: {}, holds: [] })) };
  return linearize(World.empty(shiplog), history(text), seen)?.map(({ command }) => String(command));
};

test("calls that were made one after another have that order alone", () => {
  assert.deepEqual(order("1-2 OK leases create --id x\n3-4 OK leases delete x", []), [
    "leases create --id x",
    "leases delete x",
  ]);
  assert.equal(order("1-2 OK leases delete x\n3-4 OK leases create --id x", []), undefined);
});

test("calls that were made at once have any order that gives their answers", () => {
  assert.deepEqual(order("1-4 NotFound leases delete x\n2-3 OK leases create --id x", ["x"]), [
    "leases delete x",
    "leases create --id x",
  ]);
  assert.deepEqual(order("1-4 OK leases delete x\n2-3 OK leases create --id x", []), [
    "leases create --id x",
    "leases delete x",
  ]);
});

test("two clients cannot both have made the same", () => {
  assert.equal(order("1-3 OK leases create --id x\n2-4 OK leases create --id x", ["x"]), undefined);
  assert.ok(order("1-3 OK leases create --id x\n2-4 AlreadyExists leases create --id x", ["x"]));
});

test("an order must end in what is seen", () => {
  assert.equal(order("1-3 OK leases create --id x\n2-4 OK leases create --id y", ["x"]), undefined);
});

test("a writer that finds another one at its ref may give up, and only then", () => {
  const calls = (ref: string) => history(`1-4 OK content ingest x a\n2-3 Unavailable content ingest ${ref} b`);
  const seen = { blobs: [{ digest: "@a", labels: {}, letters: 1 }] };
  assert.ok(linearize(World.empty(shiplog), calls("x"), seen));
  assert.equal(linearize(World.empty(shiplog), calls("y"), seen), undefined);
});

const clients = fc.oneof(...mixtures.map((types) => clientsOf(types)));

test("a runtime that decides and does in one step is always found to have an order", async () => {
  const endpoint = inProcess("deciders", shiplog);
  await fc.assert(
    fc.asyncProperty(clients, async (asked) => void (await runConcurrently(asked, endpoint))),
    { seed: SEED, numRuns: 300 },
  );
});

test("a runtime that decides on what was there before is found out", async () => {
  const result = await fc.check(
    fc.asyncProperty(clients, async (asked) => void (await runConcurrently(asked, forgetful))),
    { seed: SEED, numRuns: 500 },
  );
  assert.ok(result.failed && result.errorInstance instanceof NotLinearizable, String(result.errorInstance));
});

/** Looks, waits, and then writes what it has made of what it saw. */
const forgetful: Endpoint = {
  name: "forgetful",
  dialect: shiplog,
  async open() {
    let world = World.empty(shiplog);
    return {
      namespace: "here",
      async perform(command): Promise<Answer> {
        const { answer, world: after } = command.predict(world)!;
        await new Promise(setImmediate);
        world = after;
        return answer;
      },
      look: async (parts) => pictureOf(world, parts),
      events: async () => [],
      async end() {},
    };
  },
};
