import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { TaskState, TaskStatus } from "../../src/machines/mod.ts";
import { noTask } from "../../src/machines/task-evolve.ts";
import { backOffMs, defaultTiming as timing } from "../../src/restart/back-off.ts";
import { decide, noPast, type Past, type Verdict } from "../../src/restart/decide.ts";

const second = 1_000_000_000n;
const now = 1_000_000n * second;

/** Labels by the ends of their names. */
const labels = (short: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(short).map(([name, value]) => [`containerd.io/restart.${name}`, value]));

const task = (status: TaskStatus, rest: Partial<TaskState> = {}): TaskState => ({ ...noTask, status, pid: 7, ...rest });

/** A task that ran for `ranSeconds` and ended `agoSeconds` ago. */
function stopped(status: number, { ranSeconds = 1, agoSeconds = 3600 } = {}): TaskState {
  const exitedAt = now - BigInt(agoSeconds * 1e9);
  const startedAt = exitedAt - BigInt(ranSeconds * 1e9);
  return task("stopped", { startedAt, exit: { pid: 7, status, exitedAt, known: true } });
}

const verdict = (short: Readonly<Record<string, string>>, state: TaskState | undefined, past: Partial<Past> = {}) =>
  decide({ labels: labels(short), task: state, past: { ...noPast, ...past }, now, timing });

const word = ({ do: what }: Verdict) => what;

describe("the restart decision", () => {
  test("follows status, policy, count, explicit stop and exit as containerd's does", () => {
    const table: [Readonly<Record<string, string>>, TaskState | undefined, Verdict["do"]][] = [
      [{}, stopped(1), "nothing"],
      [{ policy: "always" }, stopped(1), "nothing"],
      [{ status: "created" }, stopped(1), "nothing"],
      [{ status: "paused" }, task("running"), "nothing"],
      [{ status: "running" }, task("running"), "nothing"],
      [{ status: "running" }, task("paused"), "nothing"],
      [{ status: "running" }, undefined, "start"],
      [{ status: "running" }, task("created"), "start"],
      [{ status: "running" }, stopped(0), "start"],
      [{ status: "running", policy: "always", "explicitly-stopped": "true" }, stopped(0), "start"],
      [{ status: "running", policy: "no" }, stopped(1), "nothing"],
      [{ status: "running", policy: "no" }, undefined, "nothing"],
      [{ status: "running", policy: "sometimes" }, stopped(1), "complain"],
      [{ status: "running", policy: "sometimes" }, task("running"), "nothing"],
      [{ status: "running", policy: "unless-stopped" }, stopped(0), "start"],
      [{ status: "running", policy: "unless-stopped", "explicitly-stopped": "false" }, stopped(0), "start"],
      [{ status: "running", policy: "unless-stopped", "explicitly-stopped": "true" }, stopped(1), "nothing"],
      [{ status: "running", policy: "unless-stopped", "explicitly-stopped": "true" }, undefined, "nothing"],
      [{ status: "running", policy: "on-failure" }, stopped(0), "nothing"],
      [{ status: "running", policy: "on-failure" }, stopped(255), "start"],
      [{ status: "running", policy: "on-failure", count: "99" }, stopped(1), "start"],
      [{ status: "running", policy: "on-failure" }, undefined, "nothing"],
      [{ status: "running", policy: "on-failure" }, task("created"), "nothing"],
      [{ status: "running", policy: "on-failure:2" }, stopped(1), "start"],
      [{ status: "running", policy: "on-failure:2", count: "1" }, stopped(1), "start"],
      [{ status: "running", policy: "on-failure:2", count: "2" }, stopped(1), "nothing"],
      [{ status: "running", policy: "on-failure:2", count: "many" }, stopped(1), "complain"],
      [{ status: "running", policy: "always", count: "many" }, stopped(1), "start"],
      [{ status: "stopped" }, task("running"), "stop"],
      [{ status: "stopped" }, task("paused"), "stop"],
      [{ status: "stopped" }, task("created"), "stop"],
      [{ status: "stopped", policy: "always" }, stopped(1), "nothing"],
      [{ status: "stopped" }, undefined, "nothing"],
    ];
    for (const [short, state, expected] of table)
      assert.equal(word(verdict(short, state)), expected, `${JSON.stringify(short)} ${state?.status}`);
  });

  test("waits for what is under way", () => {
    for (const status of ["creating", "starting", "deleting"] as const)
      for (const wanted of ["running", "stopped"])
        assert.equal(word(verdict({ status: wanted }, task(status))), "nothing", `${status}, ${wanted}`);
  });

  test("counts on from the label", () => {
    const count = (value: Record<string, string>) => {
      const decided = verdict({ status: "running", ...value }, stopped(1));
      return decided.do === "start" ? decided.count : undefined;
    };
    assert.deepEqual([{}, { count: "4" }, { count: "many" }, { count: "-3" }].map(count), [1, 5, 1, -2]);
  });

  test("keeps the exit that a restart answers while its task is gone", () => {
    const failed = { status: "running", policy: "on-failure:3", count: "1" };
    assert.equal(word(verdict(failed, undefined, { exitStatus: 1, failedAt: now - second })), "start");
    assert.equal(word(verdict(failed, undefined, { exitStatus: 0 })), "nothing");
  });

  test("waits longer after each restart that did not last, from the exit on, and begins anew after one that did", () => {
    const wait = (attempts: number, ranSeconds: number) => {
      const decided = verdict({ status: "running" }, stopped(1, { ranSeconds, agoSeconds: 0 }), { attempts });
      assert.ok(decided.do === "start");
      return [decided.inMs, decided.attempts];
    };
    assert.deepEqual(
      [0, 1, 2, 5, 9, 10, 5000].map((attempts) => wait(attempts, 1)[0]),
      [100, 200, 400, 3_200, 51_200, 60_000, 60_000],
    );
    assert.deepEqual(wait(5, 10), [100, 0]);
    assert.deepEqual(wait(5, 9.9), [3_200, 5]);
  });

  test("waits after a failed attempt, however long the container had run before", () => {
    const decided = verdict({ status: "running" }, stopped(1, { ranSeconds: 100 }), { attempts: 3, failedAt: now });
    assert.deepEqual(decided, { do: "start", inMs: 800, attempts: 3, count: 1 });
    assert.deepEqual(verdict({ status: "stopped" }, task("running"), { attempts: 2, failedAt: now }), {
      do: "stop",
      inMs: 400,
      attempts: 2,
    });
  });

  test("leaves a client that is at work on the container the time to start it", () => {
    for (const state of [undefined, task("created"), stopped(1)]) {
      const decided = verdict({ status: "running" }, state, { touchedAt: now - 4n * second });
      assert.ok(decided.do === "start");
      assert.equal(decided.inMs, 6_000, state?.status ?? "absent");
    }
    assert.deepEqual(verdict({ status: "running" }, undefined), { do: "start", inMs: 0, attempts: 0, count: 1 });
  });

  test("never waits longer than the whole of a span, whatever the clock says, and then acts", () => {
    const time = fc.bigInt({ min: 0n, max: 2n * now });
    const seconds = fc.integer({ min: 0, max: 20 });
    fc.assert(
      fc.property(
        fc.record({
          attempts: fc.nat({ max: 2000 }),
          exitStatus: fc.constant<number | null>(null),
          touchedAt: fc.option(time),
          failedAt: fc.option(time),
        }),
        fc.option(fc.record({ ranSeconds: seconds, agoSeconds: fc.integer({ min: -20, max: 20 }) }), {
          nil: undefined,
        }),
        (past, ended) => {
          const state = ended && stopped(1, ended);
          const at = (time: bigint) =>
            decide({ labels: labels({ status: "running" }), task: state, past, now: time, timing });
          const decided = at(now);
          assert.ok(decided.do === "start");
          const longest = Math.max(backOffMs(decided.attempts, timing), past.touchedAt === null ? 0 : timing.clientMs);
          assert.ok(decided.inMs >= 0 && decided.inMs <= longest);
          const times = [now, past.touchedAt ?? 0n, past.failedAt ?? 0n, state?.exit?.exitedAt ?? 0n];
          const after = times.reduce((left, right) => (left > right ? left : right)) + 60n * second;
          assert.deepEqual(at(after), { ...decided, inMs: 0 });
        },
      ),
    );
  });
});
