/** An explanation agrees with the decider, whatever happened before. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Packr } from "msgpackr";
import { explain } from "../../src/cli/render/explanation.ts";
import { explanationJson, explanationLines } from "../../src/cli/render/explanation-lines.ts";
import { plain } from "../../src/cli/render/mod.ts";
import type { StatedFact } from "../../src/events/catalogue.ts";
import {
  type Decider,
  deciders,
  isAboutExec,
  isRejection,
  type Kind,
  type TaskCommand,
} from "../../src/machines/mod.ts";
import { Fact } from "../../src/wire/gen/shiplog/events/v1/log.ts";
import { commands } from "../machines/commands.ts";

process.env.TZ = "UTC";

type AnyDecider = Decider<{ readonly status: string }, { readonly type: string }, StatedFact>;

const packr = new Packr({ useRecords: false });
const second = 1_000_000_000n;

const wireFact = ({ type, data }: StatedFact, index: number): Fact =>
  Fact.fromPartial({
    position: BigInt(index + 10),
    timeUnixNano: BigInt(index) * second,
    namespace: "default",
    stream: "task/web",
    type,
    data: packr.pack(data),
  });

for (const kind of Object.keys(deciders) as Kind[]) {
  test(`the explanation of a ${kind} has its status, and every command that can succeed now`, () => {
    const decider = deciders[kind] as unknown as AnyDecider;
    const some = fc.array(commands[kind] as fc.Arbitrary<{ readonly type: string }>, { maxLength: 60, size: "max" });
    fc.assert(
      fc.property(some, some, (before, tried) => {
        let state = decider.initialState;
        const facts: Fact[] = [];
        for (const command of before) {
          const decided = decider.decide(state, command);
          if (isRejection(decided)) continue;
          for (const fact of decided) {
            const sent = wireFact(fact, facts.length);
            facts.push(sent);
            state = decider.evolve(state, { ...fact, time: sent.timeUnixNano } as never);
          }
        }
        const { status, next, execs, path } = explain(kind, facts);
        assert.equal(status, state.status);
        assert.equal(path.length, facts.length);
        for (const [index, { from, execId }] of path.entries()) {
          const last = path.slice(0, index).findLast((step) => step.execId === execId && execId === "");
          if (last !== undefined) assert.equal(from, last.to);
        }
        for (const command of tried) {
          const decided = decider.decide(state, command);
          if (isRejection(decided)) continue;
          const after = decided.reduce(
            (each, fact) => decider.evolve(each, { ...fact, time: 0n } as never),
            state,
          ).status;
          if (kind === "task" && isAboutExec(command as TaskCommand) && command.type !== "AddExec") continue;
          assert.ok(
            next.some(({ command: legal, to }) => legal === command.type && to === after),
            command.type,
          );
        }
        for (const exec of execs) assert.ok(exec.next.every(({ from }) => from === exec.status));
      }),
      { numRuns: 60 },
    );
  });
}

const io = { stdin: "", stdout: "", stderr: "", terminal: false };
const life: readonly StatedFact[] = [
  { type: "TaskCreating", data: { bundle: "/b", runtime: "r", rootfs: [], io, options: null, checkpoint: "" } },
  { type: "TaskCreated", data: { pid: 5, shim: { address: "a", version: 2 } } },
  { type: "TaskStarting", data: {} },
  { type: "TaskStarted", data: { pid: 5 } },
  { type: "ExecAdded", data: { execId: "e", io, spec: null } },
  ...Array.from({ length: 5 }, () => ({ type: "TaskUpdated", data: { resources: null, annotations: {} } }) as const),
  { type: "TaskPaused", data: {} },
];

test("an explanation shows the chart, the path and what could happen next", () => {
  const lines = explanationLines("task/web in namespace default", explain("task", life.map(wireFact)), plain);
  assert.deepEqual(lines.slice(0, 26), [
    "task/web in namespace default is paused since position 20, 1970-01-01T00:00:10.000+00:00",
    "",
    "Its chart, with where it is (●) and where it was (○):",
    "  ○  absent    → creating",
    "  ○  creating  → created, absent",
    "  ○  created   → starting, running, stopped, deleting, absent",
    "  ○  starting  → created, running, stopped",
    "  ○  running   → paused, stopped",
    "  ●  paused    → running, stopped",
    "     stopped   → deleting, absent",
    "     deleting  → stopped, created, absent",
    "",
    "How it came there:",
    "     10  1970-01-01T00:00:00.000+00:00  TaskCreating  absent → creating   r",
    "     11  1970-01-01T00:00:01.000+00:00  TaskCreated   creating → created  pid 5",
    "     12  1970-01-01T00:00:02.000+00:00  TaskStarting  created → starting",
    "     13  1970-01-01T00:00:03.000+00:00  TaskStarted   starting → running  pid 5",
    "     14  1970-01-01T00:00:04.000+00:00  ExecAdded     absent → added      exec e",
    "                                        …                                 5 facts that changed no status, positions 15 to 19",
    "     20  1970-01-01T00:00:10.000+00:00  TaskPaused    running → paused",
    "",
    "What could happen next, as far as the chart has a say:",
    "  → running        RecordResumed",
    "  → stopped        RecordExited",
    "  stays            SignalTask, CheckpointTask",
    lines[25],
  ]);
  assert.match(lines[25]!, /^ {2}stays, reported {2}RecordStarted, RecordPaused, /);
  assert.equal(lines[27], "  exec e is added");
});

test("an explanation in JSON has every fact of the path", () => {
  const { path, next, execs, ...rest } = JSON.parse(
    explanationJson({ namespace: "default", kind: "task", key: "web" }, explain("task", life.map(wireFact))),
  );
  assert.deepEqual(rest, { namespace: "default", kind: "task", key: "web", status: "paused" });
  assert.equal(path.length, life.length);
  assert.deepEqual(path[4], {
    position: 14,
    time: "1970-01-01T00:00:04.000000000Z",
    fact: "ExecAdded",
    exec: "e",
    from: "absent",
    to: "added",
  });
  assert.ok(
    next.some(({ command, to }: { command: string; to: string }) => command === "RecordResumed" && to === "running"),
  );
  assert.deepEqual([execs[0].exec, execs[0].status], ["e", "added"]);
});
