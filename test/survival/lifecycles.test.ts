/**
 * Many lives of containers, eight at a time: no exit is lost, no descriptor leaks, memory stays flat. SHIPLOG_LIFECYCLES sets how many.
 */
import assert from "node:assert/strict";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { Grouping } from "../../src/shim/program/address.ts";
import { eventually } from "../harness/eventually.ts";
import { Inspector } from "./inspector.ts";
import { footprintOf } from "./processes.ts";
import { Stage } from "./stage.ts";

const lifecycles = Number(process.env.SHIPLOG_LIFECYCLES ?? 40);
const AT_ONCE = 8;
/** Looks at the daemon, the first when a part is done: until then caches fill. */
const SAMPLES = 4;
/** Descriptors that may be open at one quiet moment and not at another. */
const DESCRIPTORS_MORE_MAX = 8;
/** What may be live in the daemon after one sample more than after another, beside what each life may leave: exits that it remembers, within a bound. */
const LIVE_MORE_BYTES_MAX = 4 * 1024 * 1024;
/** RocksDB keeps up to 64 MiB of rows in memory before they go to a file. */
const RESIDENT_MORE_BYTES_MAX = 80 * 1024 * 1024;
/** Of a shim, which gives back to the system what it does not need. */
const SHIM_RESIDENT_MORE_BYTES_MAX = 24 * 1024 * 1024;

interface Sample {
  readonly done: number;
  readonly daemon: {
    readonly descriptors: number;
    readonly resident: number;
    readonly live: number;
    readonly unflushed: number;
  };
  /** Of the one shim, where one serves all. */
  readonly shim: { readonly descriptors: number; readonly resident: number } | undefined;
}

for (const grouping of [Grouping.Sandbox, Grouping.Namespace] as const) {
  const shims = grouping === Grouping.Namespace ? "one shim" : "a shim each";
  test(`${lifecycles} lives of containers with ${shims}, ${AT_ONCE} at a time, lose no exit and leak nothing`, {
    timeout: 60_000 + lifecycles * 2_000,
  }, async (t) => {
    const stage = await Stage.open(t, { grouping, inspected: true });
    const inspector = await Inspector.open(stage.daemon);
    t.after(() => inspector.close());
    // With one more that stays, the shim of all is the same from beginning to end.
    const stays = grouping === Grouping.Namespace;
    if (stays) await begin(stage, "stays", "while [ ! -e /out/go ]; do sleep 0.1; done");
    const samples: Sample[] = [];
    let begun = 0;
    for (let sample = 1; sample <= SAMPLES; sample++) {
      const until = Math.round((lifecycles * sample) / SAMPLES);
      const work = async () => {
        while (begun < until) await live(stage, begun++);
      };
      await Promise.all(Array.from({ length: AT_ONCE }, work));
      samples.push(await look(stage, inspector, begun, stays));
    }
    await checkExits(stage);
    if (stays) await end(stage, "stays");
    tell(t, samples);
    checkFlat(samples);
    inspector.close();
    await stage.assertNothingLeft();
  });
}

const nameOf = (index: number): string => `l${index}`;
/** Each its own, as far as there are codes; 255 would look like one that nobody saw. */
const codeOf = (index: number): number => index % 251;

async function live(stage: Stage, index: number): Promise<void> {
  const id = nameOf(index);
  await begin(stage, id, `exit ${codeOf(index)}`);
  const { exitStatus } = await stage.tasks.wait({ containerId: id });
  assert.equal(exitStatus, codeOf(index), `${id} was told to have ended as it did`);
  const deleted = await stage.tasks.delete({ containerId: id });
  assert.equal(deleted.exitStatus, codeOf(index), `${id} was deleted with its exit`);
  await stage.containers.delete({ id });
}

async function begin(stage: Stage, id: string, script: string): Promise<void> {
  await stage.addContainer(id, script);
  await stage.tasks.create({ containerId: id, rootfs: stage.rootfs });
  await stage.tasks.start({ containerId: id });
}

async function end(stage: Stage, id: string): Promise<void> {
  await stage.write("go");
  await stage.tasks.wait({ containerId: id });
  await stage.tasks.delete({ containerId: id });
  await stage.containers.delete({ id });
}

/** A sample of a quiet moment: when the shims of those that have ended are gone. */
async function look(stage: Stage, inspector: Inspector, done: number, stays: boolean): Promise<Sample> {
  const shims = await eventually("only the shims of those that live are left", async () => {
    const found = await stage.shims();
    return found.length === (stays ? 1 : 0) ? found : undefined;
  });
  const live = await inspector.liveBytes();
  const shim = shims[0] && (await footprintOf(shims[0].pid));
  return {
    done,
    daemon: { ...(await footprintOf(stage.daemon.pid)), live, unflushed: await unflushedBytes(stage) },
    shim,
  };
}

/** Bytes of RocksDB's own log: what it keeps in memory until that is enough for a file. */
async function unflushedBytes(stage: Stage): Promise<number> {
  const tables = join(stage.daemon.paths.root, "projections");
  const logs = (await readdir(tables, { recursive: true })).filter((name) => name.endsWith(".log"));
  const sizes = await Promise.all(logs.map(async (name) => (await stat(join(tables, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function checkExits(stage: Stage): Promise<void> {
  const exits = new Map<string, { status: number; known: boolean }[]>();
  for (const { stream, type, data } of await stage.facts())
    if (type === "TaskExited") exits.set(stream, [...(exits.get(stream) ?? []), data]);
  for (let index = 0; index < lifecycles; index++) {
    const found = (exits.get(`task/${nameOf(index)}`) ?? []).map(({ status, known }) => ({ status, known }));
    assert.deepEqual(found, [{ status: codeOf(index), known: true }], `${nameOf(index)} has one exit, its own`);
  }
}

/** From the first sample to the last: what grows with each life is a leak. */
function checkFlat(samples: readonly Sample[]): void {
  const [first, last] = [samples[0]!, samples.at(-1)!];
  const more = (of: (sample: Sample) => number) => of(last) - of(first);
  assert.ok(more(({ daemon }) => daemon.descriptors) <= DESCRIPTORS_MORE_MAX, "the daemon leaks no descriptor");
  assert.ok(more(({ daemon }) => daemon.live) <= LIVE_MORE_BYTES_MAX, "the daemon's heap is flat");
  assert.ok(more(({ daemon }) => daemon.resident) <= RESIDENT_MORE_BYTES_MAX, "the daemon's memory is flat");
  assert.ok(more(({ shim }) => shim?.descriptors ?? 0) <= DESCRIPTORS_MORE_MAX, "the shim leaks no descriptor");
  assert.ok(more(({ shim }) => shim?.resident ?? 0) <= SHIM_RESIDENT_MORE_BYTES_MAX, "the shim's memory is flat");
}

function tell(t: TestContext, samples: readonly Sample[]): void {
  const mib = (bytes: number) => (bytes / 1024 / 1024).toFixed(1);
  for (const { done, daemon, shim } of samples) {
    const ofShim = shim && `; shim ${shim.descriptors} descriptors, ${mib(shim.resident)} MiB resident`;
    t.diagnostic(
      `after ${done}: daemon ${daemon.descriptors} descriptors, ${mib(daemon.live)} MiB live, ${mib(daemon.resident)} MiB resident of which ${mib(daemon.unflushed)} MiB are rows that wait for their file${ofShim ?? ""}`,
    );
  }
}
