/** What is true of every decider, whatever commands it is given in whatever order. */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { schemaVersions, type StatedFact } from "../../src/events/catalogue.ts";
import { ErrorClass } from "../../src/error.ts";
import {
  type Chart,
  type Decider,
  deciders,
  execChart,
  isRejection,
  type Kind,
  type Timed,
} from "../../src/machines/mod.ts";
import { conditions, isAboutExec } from "../../src/machines/task-decider.ts";
import { execOf, type TaskCommand, type TaskState } from "../../src/machines/task.ts";
import { commands } from "./commands.ts";

type Entity = { readonly status: string };
type Command = { readonly type: string };
type AnyDecider = Decider<Entity, Command, StatedFact>;
type Fact = Timed<StatedFact>;

const kinds = Object.keys(deciders) as Kind[];
const deciderOf = (kind: Kind) => deciders[kind] as unknown as AnyDecider;
const holdsOf = (kind: Kind, state: Entity) => (kind === "task" ? conditions(state as TaskState) : []);

/** What a sequence of commands led to, one command after another. */
interface Step {
  readonly command: Command;
  readonly before: Entity;
  /** None when the command was rejected. */
  readonly facts: readonly Fact[] | undefined;
  readonly after: Entity;
}

/** Frozen, so that a decider that changes a state in place throws. */
function frozen<T>(value: T): T {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
  for (const part of Object.values(value)) frozen(part);
  return Object.freeze(value);
}

function walk(kind: Kind, sequence: readonly (readonly Command[])[], settle = false): readonly Step[] {
  const steps: Step[] = [];
  let state = frozen(deciderOf(kind).initialState);
  const take = (command: Command): Step => {
    const step = stepFrom(kind, state, frozen(command), BigInt(steps.length));
    steps.push(step);
    state = step.after;
    return step;
  };
  for (const group of sequence) {
    for (const command of group) {
      if (settle) for (const each of execExits(state as TaskState, command)) take(each);
      if ((take(command).facts?.length ?? 0) > 0) break;
    }
  }
  return steps;
}

function stepFrom(kind: Kind, before: Entity, command: Command, time: bigint): Step {
  const decider = deciderOf(kind);
  const decided = decider.decide(before, command);
  if (isRejection(decided)) {
    assert.ok(decided.rejected in ErrorClass);
    assert.match(decided.reason, /^[A-Z][A-Za-z]+$/);
    assert.match(decided.message, /: [a-z ]+$|^task (\w+ )?not found$/);
    return { command, before, facts: undefined, after: before };
  }
  const facts = decided.map((fact) => frozen({ ...fact, time }));
  const after = facts.reduce<Entity>((state, fact) => frozen(decider.evolve(state, fact)), before);
  return { command, before, facts, after };
}

/** What a caller records before the task's own exit or deletion: the exits of the execs that still live. */
function execExits(task: TaskState, command: Command): readonly Command[] {
  if (command.type !== "RecordExited" && command.type !== "RecordDeleted") return [];
  return Object.entries(task.execs).flatMap(([execId, { status }]) =>
    status === "starting" || status === "running" ? [{ ...command, type: "RecordExecExited", execId }] : [],
  );
}

/** Chart and fold agree on the step; the transitions that it took are added to `taken`. */
function checkChart(kind: Kind, { command, before, facts, after }: Step, taken: Set<string>): void {
  const check = (chart: Chart, name: string, from: string, holds: readonly string[], to: string) => {
    const next = chart.next(from, command.type, holds);
    if (facts !== undefined) {
      assert.equal(next, to, `${name} ${from} ${command.type}`);
      taken.add(transition(name, from, command.type, to));
    }
  };
  const next = deciderOf(kind).chart.next(before.status, command.type, holdsOf(kind, before));
  if (next === undefined) assert.equal(facts, undefined, `${kind} ${before.status} ${command.type} was accepted`);
  check(deciderOf(kind).chart, kind, before.status, holdsOf(kind, before), after.status);
  if (kind !== "task") return;
  const asked = command as TaskCommand;
  if (!isAboutExec(asked)) return;
  const execStatus = (state: Entity) => execOf(state as TaskState, asked.execId)?.status ?? "absent";
  check(execChart, "exec", execStatus(before), [], execStatus(after));
}

const transition = (chart: string, from: string, command: string, to: string) => `${chart}: ${from} ${command} ${to}`;

/** Every transition that the chart draws. */
function* drawn(name: string, chart: Chart): Iterable<string> {
  type Drawn = string | readonly { readonly target: string }[];
  const { states } = (chart.machine as { config: { states: Record<string, { on: Record<string, Drawn> }> } }).config;
  for (const [from, { on }] of Object.entries(states)) {
    for (const [command, targets] of Object.entries(on)) {
      for (const target of typeof targets === "string" ? [{ target: targets }] : targets) {
        yield transition(name, from, command, target.target);
      }
    }
  }
}

/** How many sequences: enough that each transition is taken with the fixed seed. */
const runs = (kind: Kind) => (kind === "task" ? 1_000 : 100);
const SEED = 20_260_401;

/**
 * Groups of commands, each tried in turn until one states facts. Every command that is tried counts, the refused ones too; the groups only
 * see to it that a sequence gets somewhere.
 */
const groups = (kind: Kind) =>
  fc.array(fc.array(commands[kind] as fc.Arbitrary<Command>, { minLength: 1, maxLength: 6, size: "max" }), {
    maxLength: 60,
    size: "max",
  });

const seen = new Set<string>();

for (const kind of kinds) {
  test(`chart, fold and replay of the ${kind} agree for every sequence of commands, and every transition is taken`, () => {
    const decider = deciderOf(kind);
    const taken = new Set<string>();
    fc.assert(
      fc.property(groups(kind), (sequence) => {
        const steps = walk(kind, sequence);
        for (const step of steps) {
          checkChart(kind, step, taken);
          assert.deepEqual(
            Object.keys(step.after),
            Object.keys(decider.initialState),
            "a row's fields keep their order",
          );
          if (decider.isTerminal(step.after)) assert.deepEqual(step.after, decider.initialState);
        }
        const facts = steps.flatMap((step) => step.facts ?? []);
        for (const fact of facts) seen.add(fact.type);
        const replayed = structuredClone(facts).reduce<Entity>(decider.evolve, decider.initialState);
        assert.deepEqual(replayed, steps.at(-1)?.after ?? decider.initialState);
      }),
      { seed: SEED, numRuns: runs(kind) },
    );
    const all = [...drawn(kind, decider.chart), ...(kind === "task" ? drawn("exec", execChart) : [])];
    assert.deepEqual(
      all.filter((each) => !taken.has(each)),
      [],
      "transitions that were never taken",
    );
  });
}

test("every type of the catalogue is stated by a decider", () => {
  assert.deepEqual([...seen].sort(), Object.keys(schemaVersions).sort());
});

test("no chart has a status that cannot be left for good", () => {
  const charts: [string, Chart][] = [
    ...kinds.map((kind): [string, Chart] => [kind, deciderOf(kind).chart]),
    ["exec", execChart],
  ];
  for (const [name, chart] of charts.filter(([each]) => each !== "event" && each !== "collection")) {
    const edges = [...drawn(name, chart)].map((edge) => edge.split(" ") as [string, string, string, string]);
    const leaving = new Set(["absent"]);
    for (let grown = 0; grown !== leaving.size; ) {
      grown = leaving.size;
      for (const [, from, , to] of edges) if (leaving.has(to)) leaving.add(from);
    }
    const statuses = new Set(edges.flatMap(([, from, , to]) => [from, to]));
    assert.deepEqual(
      [...statuses].filter((status) => !leaving.has(status)),
      [],
      name,
    );
  }
});

test("a task exits once between its creation and its deletion, after all of its execs when the caller settles them", () => {
  let deletions = 0;
  fc.assert(
    fc.property(groups("task"), (sequence) => {
      let exits = 0;
      for (const { facts, after } of walk("task", sequence, true)) {
        for (const { type } of facts ?? []) {
          if (type === "TaskCreated") exits = 0;
          if (type === "TaskExited") exits += 1;
          assert.ok(exits <= 1, "two exits");
          if (type === "ExecExited") assert.equal(exits, 0, "an exec's exit after the task's");
          if (type === "TaskDeleted") {
            assert.equal(exits, 1, "deleted without an exit");
            deletions += 1;
          }
        }
        const { status, exit, execs } = after as TaskState;
        if (status !== "deleting") assert.equal(exit !== null, status === "stopped");
        for (const exec of Object.values(execs)) assert.equal(exec.exit !== null, exec.status === "stopped");
      }
    }),
    { seed: SEED, numRuns: 300 },
  );
  assert.ok(deletions > 30, `only ${deletions} tasks got as far as their deletion`);
});
