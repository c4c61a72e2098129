/** Standing still on a real ledger, with pauses and resumes that go wrong: what is recorded of tasks is as the task manager records it. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { atStandstill } from "../../src/api/standstill.ts";
import { ShiplogError } from "../../src/error.ts";
import type { Origin } from "../../src/ledger.ts";
import type { TaskCommand } from "../../src/machines/mod.ts";
import { type OpenLedger, openLedgerIn, testOrigin } from "../harness/ledger.ts";

const origin = testOrigin("n");
let directory: string;
let open: OpenLedger;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "shiplog-standstill-"));
  open = await openLedgerIn(directory);
});
afterEach(async () => {
  await open.close();
  await rm(directory, { recursive: true });
});

const record = (id: string, ...commands: TaskCommand[]) =>
  open.ledger.transact(origin, () => commands.map((command) => ({ kind: "task", key: id, command })));

const io = { stdin: "", stdout: "", stderr: "", terminal: false };
const exit = { pid: 7, status: 137, exitedAt: 5n, known: true };

async function run(...ids: string[]): Promise<void> {
  for (const id of ids)
    await record(
      id,
      { type: "CreateTask", id, bundle: "/b", runtime: "r", rootfs: [], io, options: null, checkpoint: "" },
      { type: "RecordCreated", pid: 7, shim: { address: "unix:///s", version: 2 } },
      { type: "StartTask", id },
      { type: "RecordStarted", pid: 7 },
    );
}

const status = (id: string) => open.ledger.view.tasks.get("n", id)!.status;

/** The manager's answers, and what comes before some of them. */
function tasks(
  faults: { readonly pause?: (id: string) => Promise<void>; readonly resume?: (id: string) => Promise<void> } = {},
) {
  const calls: string[] = [];
  const change = async (id: string, call: "pause" | "resume", from: string, command: TaskCommand) => {
    calls.push(`${call} ${id}`);
    await faults[call]?.(id);
    if (status(id) !== from) throw new ShiplogError("Unknown", `cannot ${call} a ${status(id)} container`);
    return record(id, command);
  };
  return {
    calls,
    pause: (_origin: Origin, id: string) => change(id, "pause", "running", { type: "RecordPaused" }),
    resume: (_origin: Origin, id: string) => change(id, "resume", "paused", { type: "RecordResumed" }),
  };
}

const stand = <T>(manager: ReturnType<typeof tasks>, ids: readonly string[], work: () => Promise<T>, users = ids) =>
  atStandstill({ ledger: open.ledger, tasks: manager }, origin, ids, () => users, work);

test("the work sees everybody stand still, and all go on after it, also when it fails", async () => {
  await run("a", "b");
  const manager = tasks();
  const { value, paused, pausedNs } = await stand(manager, ["a", "b"], async () => [status("a"), status("b")]);
  assert.deepEqual(
    [value, paused],
    [
      ["paused", "paused"],
      ["a", "b"],
    ],
  );
  assert.ok(pausedNs > 0);
  await assert.rejects(
    stand(manager, ["a", "b"], async () => {
      throw new Error("disk full");
    }),
    /disk full/,
  );
  assert.deepEqual([status("a"), status("b")], ["running", "running"]);
});

test("nothing is waited for when nothing runs", async () => {
  const { paused, pausedNs } = await stand(tasks(), [], async () => {});
  assert.deepEqual([paused, pausedNs], [[], 0]);
});

test("one that cannot be paused lets the others go on, and there is no work", async () => {
  await run("a", "b");
  const manager = tasks({
    async pause(id) {
      if (id === "b") throw new Error("no freezer");
    },
  });
  await assert.rejects(
    stand(manager, ["a", "b"], async () => assert.fail("must not run")),
    /no freezer/,
  );
  assert.deepEqual([status("a"), status("b")], ["running", "running"]);
});

test("one that ends before or while it stands still is no obstacle", async () => {
  await run("a", "b");
  const manager = tasks({
    async pause(id) {
      if (id === "b") await record("b", { type: "RecordExited", exit });
    },
  });
  const { paused } = await stand(manager, ["a", "b"], async () => {
    await record("a", { type: "RecordExited", exit });
  });
  assert.deepEqual(paused, ["a"]);
});

test("one that a client has paused is left so", async () => {
  await run("a");
  const manager = tasks({ pause: async () => void (await record("a", { type: "RecordPaused" })) });
  const { paused } = await stand(manager, ["a"], async () => {});
  assert.deepEqual([paused, status("a")], [[], "paused"]);
});

test("whoever runs meanwhile spoils the work: a user that was not known, one that is started, one that is resumed", async () => {
  await run("a", "other");
  const spoilt = { class: "Aborted", reason: "Disturbed" };
  await assert.rejects(
    stand(tasks(), ["a"], async () => {}, ["a", "other"]),
    spoilt,
  );
  await record("other", { type: "RecordExited", exit });
  await assert.rejects(
    stand(
      tasks(),
      ["a"],
      async () => {
        await record("other", { type: "DeleteTask", id: "other" }, { type: "RecordDeleted", exit });
        await run("other");
      },
      ["a", "other"],
    ),
    spoilt,
  );
  await record("other", { type: "RecordExited", exit });
  await assert.rejects(
    stand(tasks(), ["a"], async () => void (await record("a", { type: "RecordResumed" }))),
    spoilt,
  );
  assert.equal(status("a"), "running");
});

test("a resume that fails is tried again as long as the container is paused", async () => {
  await run("a");
  let failures = 2;
  const manager = tasks({
    async resume() {
      if (failures-- > 0) throw new ShiplogError("Unavailable", "no connection to its shim");
    },
  });
  await stand(manager, ["a"], async () => {});
  assert.deepEqual(manager.calls, ["pause a", "resume a", "resume a", "resume a"]);
  assert.equal(status("a"), "running");
});
