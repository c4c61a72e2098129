import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFile, mkdir, readFile, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import {
  Journal,
  JournalCorrupt,
  JournalHeld,
  type JournalRecord,
  journalState,
  readJournal,
} from "../../../src/shim/journal/mod.ts";
import { withoutSettled } from "../../../src/shim/journal/record.ts";
import { temporaryDirectory } from "../../harness/temporary.ts";

const io = { stdin: "", stdout: "/o", stderr: "", terminal: false };
const exited = (execId: string, exitStatus = 3): JournalRecord => ({
  type: "exited",
  execId,
  pid: 7,
  exitStatus,
  exitedAt: "5",
  known: true,
  oomKilled: false,
});
const added = (execId: string): JournalRecord => ({ type: "execAdded", at: "1", execId, io, spec: '{"args":["ä"]}' });

const execId = fc.constantFrom("a", "b");
const creating: JournalRecord = {
  type: "creating",
  at: "0",
  containerId: "c",
  runtime: { binary: "runc", root: "/r", systemdCgroup: false },
  io,
  ioUid: 0,
  ioGid: 0,
  rootfs: [],
  checkpoint: "",
  options: null,
};

const record: fc.Arbitrary<JournalRecord> = fc.oneof(
  fc.constant(creating),
  fc.constant<JournalRecord>({ type: "deleted", at: "9" }),
  fc.constant<JournalRecord>({ type: "created", at: "1", pid: 7, startTime: 9 }),
  fc.constant<JournalRecord>({ type: "started", at: "2" }),
  execId.map(added),
  execId.map((id): JournalRecord => ({ type: "execStarted", at: "3", execId: id, pid: 8, startTime: 10 })),
  fc.tuple(fc.constantFrom("", "a", "b"), fc.nat(255)).map(([id, status]) => exited(id, status)),
  execId.map((id): JournalRecord => ({ type: "execDeleted", at: "4", execId: id })),
  fc.constant<JournalRecord>({ type: "oomed", at: "5" }),
  execId.map((id): JournalRecord => ({ type: "outputLost", at: "6", execId: id, bytes: 9, lines: 1, reason: "full" })),
  fc.nat(40).map((number): JournalRecord => ({ type: "acknowledged", record: number })),
);

test("a journal gives back what was appended when it is opened again", async (t) => {
  const bundle = await temporaryDirectory(t);
  const first = await Journal.open(bundle);
  assert.equal(await first.append(added("a")), 0);
  assert.equal(await first.append(exited("a"), { durable: true }), 1);
  await first.close();
  assert.equal((await stat(join(bundle, "shim.journal"))).mode & 0o777, 0o600);
  const second = await Journal.open(bundle);
  assert.deepEqual(
    second.entries.map(({ record }) => record),
    [added("a"), exited("a")],
  );
  assert.equal(await second.append({ type: "acknowledged", record: 1 }), 2);
  await second.close();
  assert.deepEqual(journalState(readJournal(bundle)!).unacknowledged, []);
});

test("a bundle without a journal reads as undefined", async (t) => {
  assert.equal(readJournal(await temporaryDirectory(t)), undefined);
});

test("a journal cut anywhere opens with its whole lines and takes more", async (t) => {
  const bundle = await temporaryDirectory(t);
  const path = join(bundle, "shim.journal");
  await fc.assert(
    fc.asyncProperty(
      fc.array(record, { minLength: 1, maxLength: 12 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      async (records, part) => {
        await writeFile(path, "");
        const journal = await Journal.open(bundle);
        for (const each of records) await journal.append(each);
        await journal.close();
        const whole = await readFile(path);
        const length = Math.floor(part * whole.length);
        await truncate(path, length);
        const kept = whole.subarray(0, length).toString().split("\n").length - 1;
        const reopened = await Journal.open(bundle);
        assert.deepEqual(
          reopened.entries.map(({ record }) => record),
          records.slice(0, kept),
        );
        await reopened.append({ type: "started", at: "6" });
        await reopened.close();
        assert.deepEqual(
          readJournal(bundle)!.map(({ record }) => record),
          [...records.slice(0, kept), { type: "started", at: "6" }],
        );
      },
    ),
    { numRuns: 50 },
  );
});

test("a journal with a damaged line names the line when it is opened", async (t) => {
  const bundle = await temporaryDirectory(t);
  const path = join(bundle, "shim.journal");
  const journal = await Journal.open(bundle);
  await journal.append(added("a"));
  await journal.append(added("b"));
  await journal.close();
  const [first, second] = (await readFile(path, "utf8")).split("\n");
  for (const text of [`${first}\nnot json\n`, `${first}\n{"n":1}\n`, `${second}\n${first}\n`, `${first}\n${first}\n`]) {
    await writeFile(path, text);
    await assert.rejects(
      Journal.open(bundle),
      (error: Error) => error instanceof JournalCorrupt && error.message.includes("line 2"),
    );
    assert.throws(() => readJournal(bundle), JournalCorrupt);
    assert.equal(await readFile(path, "utf8"), text);
  }
});

test("a journal has one writer, until that one has ended", async (t) => {
  const bundle = await temporaryDirectory(t);
  const mod = new URL("../../../src/shim/journal/mod.ts", import.meta.url).href;
  const script = `const { Journal } = await import(${JSON.stringify(mod)}); globalThis.held = await Journal.open(${JSON.stringify(bundle)}); console.log("held"); setInterval(() => {}, 1e6)`;
  const holder = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    await once(holder.stdout, "data");
    await assert.rejects(Journal.open(bundle), JournalHeld);
  } finally {
    const ended = once(holder, "exit");
    holder.kill("SIGKILL");
    await ended;
  }
  await (await Journal.open(bundle)).close();
});

test("a journal does not grow with what is settled, and keeps its numbers and its writer", async (t) => {
  const bundle = await temporaryDirectory(t);
  const path = join(bundle, "shim.journal");
  const journal = await Journal.open(bundle);
  await journal.append({ type: "created", at: "1", pid: 7, startTime: 9 });
  let largest = 0;
  let last = -1;
  for (let turn = 0; turn < 1_000; turn++) {
    await journal.append(added("a"));
    const number = await journal.append(exited("a"));
    assert.ok(number > last);
    last = number;
    await journal.append({ type: "execDeleted", at: "4", execId: "a" });
    await journal.append({ type: "acknowledged", record: number });
    largest = Math.max(largest, (await stat(path)).size);
  }
  const unsettled = await journal.append(exited(""));
  assert.ok(largest < 80_000, `${largest} bytes`);
  await assert.rejects(Journal.open(bundle), JournalHeld);
  await journal.close();
  const state = journalState(readJournal(bundle)!);
  assert.equal(state.created?.pid, 7);
  assert.deepEqual(
    state.unacknowledged.map(({ number }) => number),
    [unsettled],
  );
});

test("the state of a journal is the same after what is settled was left out", () => {
  fc.assert(
    fc.property(fc.array(record, { maxLength: 40 }), (records) => {
      const entries = records.map((each, number) => ({ number, record: each }));
      assert.deepEqual(journalState(withoutSettled(entries)), journalState(entries));
    }),
  );
});

test("a container that is made again after it was deleted is the one that the journal tells of", () => {
  const created = (pid: number): JournalRecord => ({ type: "created", at: "1", pid, startTime: 9 });
  const records: JournalRecord[] = [
    creating,
    created(7),
    { type: "started", at: "2" },
    added("a"),
    exited(""),
    { type: "deleted", at: "9" },
  ];
  const state = journalState([...records, creating, created(8)].map((each, number) => ({ number, record: each })));
  assert.deepEqual(
    [state.created?.pid, state.started, state.exit, state.deleted, state.execs.size],
    [8, false, undefined, false, 0],
  );
  assert.equal(state.unacknowledged.length, 1);
});

test("an append that fails leaves the journal as it was", async (t) => {
  const bundle = await temporaryDirectory(t);
  let failing = false;
  const journal = await Journal.open(bundle, (operation) => {
    if (failing && operation === "journal.write") throw new Error("disk full");
  });
  await journal.append(added("a"));
  failing = true;
  await assert.rejects(journal.append(added("b")), /disk full/);
  failing = false;
  await journal.append(exited("a"));
  await journal.close();
  assert.deepEqual(
    readJournal(bundle)!.map(({ record }) => record.type),
    ["execAdded", "exited"],
  );
});

test("a journal in a bundle that is gone cannot be opened", async (t) => {
  const directory = await temporaryDirectory(t);
  await assert.rejects(Journal.open(join(directory, "none")), { code: "ENOENT" });
  await mkdir(join(directory, "none"));
  await appendFile(join(directory, "none", "shim.journal"), "\0\0\0");
  const journal = await Journal.open(join(directory, "none"));
  assert.deepEqual(journal.entries, []);
  await journal.close();
});
