import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import * as fc from "fast-check";
import { StatusCode } from "../../../src/shim/ttrpc/mod.ts";
import { processStartTime } from "../../../src/platform/mod.ts";
import { eventually } from "../../harness/eventually.ts";
import { type Shim, Site, type Spec, type Told } from "./shims.ts";

const limit = { timeout: 120_000 };
const shell = (script: string) => ["/bin/sh", "-c", script];

/** In the shim's own pid namespace: nothing ends the container's processes with init. */
const sharedPids = (spec: Spec) => {
  spec.linux.namespaces = spec.linux.namespaces.filter(({ type }) => type !== "pid");
};

interface Life {
  readonly initExits: boolean;
  readonly sharesPids: boolean;
  readonly execs: readonly ("exits" | "sleeps")[];
}

const lives: fc.Arbitrary<readonly Life[]> = fc.array(
  fc.record({
    initExits: fc.boolean(),
    sharesPids: fc.boolean(),
    execs: fc.array(fc.constantFrom("exits" as const, "sleeps" as const), { maxLength: 4 }),
  }),
  { minLength: 4, maxLength: 8 },
);

/** Lives a life to its end, with all that can happen at once happening at once. */
async function live(shim: Shim, id: string, { initExits, sharesPids, execs }: Life): Promise<void> {
  await shim.run(id, initExits ? ["/bin/true"] : ["/bin/sleep", "1000"], sharesPids ? { edit: sharedPids } : {});
  const started = execs.map(async (exec, index) => {
    const execId = `e${index}`;
    try {
      await shim.exec(id, execId, exec === "exits" ? ["/bin/true"] : ["/bin/sleep", "1000"]);
    } catch {
      // Init was faster.
      return;
    }
    if (exec === "exits") await shim.wait(id, execId);
  });
  if (started.length > 0) await started[0];
  if (!initExits) await shim.kill(id);
  await Promise.all([...started, shim.wait(id)]);
  await shim.delete(id);
}

/** What is wrong with the order of one container's events. */
function disorderOf(told: readonly Told[], id: string): string[] {
  const mine = told.filter((each) => each.containerId === id);
  const at = (topic: string, fits: (each: Told) => boolean) =>
    mine.findIndex((each) => each.topic === topic && fits(each));
  const wrong: string[] = [];
  const before = (what: string, earlier: number, later: number) => {
    if (later !== -1 && (earlier === -1 || earlier > later)) wrong.push(`${id}: ${what}`);
  };
  const any = () => true;
  const initExit = at("exit", (each) => each.id === id);
  before("create before start", at("create", any), at("start", any));
  before("start before exit", at("start", any), initExit);
  before("exit before delete", initExit, at("delete", any));
  if (initExit === -1 || at("delete", any) === -1) wrong.push(`${id}: no exit or no delete`);
  for (const { execId } of mine.filter(({ topic }) => topic === "exec-added")) {
    const isMine = (each: Told) => each.execId === execId;
    const exit = at("exit", (each) => each.id === execId);
    before(`${execId} added before started`, at("exec-added", isMine), at("exec-started", isMine));
    before(`${execId} started before exit`, at("exec-started", isMine), exit);
    if (at("exec-started", isMine) !== -1) before(`${execId} exit before init's`, exit, initExit);
    if (at("exec-started", isMine) !== -1 && exit === -1) wrong.push(`${id}: no exit of ${execId}`);
  }
  if (mine.filter(({ topic, id: whose }) => topic === "exit" && whose === id).length !== 1)
    wrong.push(`${id}: init's exit is not told once`);
  return wrong;
}

test("events of a container are in order under load, whatever ends when", limit, async (t) => {
  const site = await Site.open(t);
  const shim = await site.ours();
  let run = 0;
  await fc.assert(
    fc.asyncProperty(lives, async (plan) => {
      run++;
      const ids = plan.map((_, index) => `c${run}-${index}`);
      await Promise.all(plan.map((life, index) => live(shim, ids[index]!, life)));
      for (const id of ids) await site.event("delete", ({ containerId }) => containerId === id);
      assert.deepEqual(
        ids.flatMap((id) => disorderOf(site.told, id)),
        [],
      );
    }),
    { numRuns: 3, endOnFailure: true },
  );
  assert.deepEqual(site.troubles, []);
});

test(
  "the end of init without a pid namespace of its own is the end of all in the container, and told last",
  limit,
  async (t) => {
    const site = await Site.open(t);
    const shim = await site.ours();
    const bundle = await site.bundle(
      "one",
      shell("/bin/sleep 1000 & echo $! > /tmp/child; while [ ! -e /tmp/end ]; do /bin/sleep 0.05; done; exit 4"),
      sharedPids,
    );
    await shim.create(bundle);
    await shim.start("one");
    const execPid = await shim.exec("one", "e", ["/bin/sleep", "1000"]);
    const child = await eventually(
      "the child",
      async () => Number(await readFile(join(site.rootfs, "tmp", "child"), "utf8").catch(() => "")) || undefined,
    );
    await writeFile(join(site.rootfs, "tmp", "end"), "");
    assert.equal(await shim.wait("one"), 4);
    assert.equal(await shim.wait("one", "e"), 137);
    await eventually(
      "both are gone",
      () => [child, execPid].every((pid) => processStartTime(pid) === undefined) || undefined,
    );
    await shim.delete("one");
    await site.event("delete");
    assert.deepEqual(
      site.told.filter(({ topic }) => topic === "exit").map(({ id }) => id),
      ["e", "one"],
    );
  },
);

test("an exec is not started once init has ended", limit, async (t) => {
  const site = await Site.open(t);
  const shim = await site.ours();
  await shim.run("one", ["/bin/sleep", "1000"]);
  await shim.addExec("one", "e", ["/bin/true"]);
  await shim.kill("one");
  await shim.wait("one");
  await assert.rejects(shim.start("one", "e"), {
    code: StatusCode.FailedPrecondition,
    message: "container one init process is not running: failed precondition",
  });
  await assert.rejects(shim.addExec("one", "f", ["/bin/true"]), { message: "cannot exec in a stopped state" });
  await shim.delete("one");
});

test("an orphan that a container leaves is reaped and told to nobody", limit, async (t) => {
  const site = await Site.open(t);
  const shim = await site.ours();
  await shim.run("one", shell("(/bin/sh -c 'echo $$ > /tmp/orphan; exec /bin/sleep 0.2' &); exec /bin/sleep 1000"), {
    edit: sharedPids,
  });
  const orphan = await eventually(
    "the orphan",
    async () => Number(await readFile(join(site.rootfs, "tmp", "orphan"), "utf8").catch(() => "")) || undefined,
  );
  await eventually("it is reaped", () => processStartTime(orphan) === undefined || undefined);
  await shim.kill("one");
  await shim.wait("one");
  await shim.delete("one");
  await site.event("delete");
  assert.deepEqual(
    site.told.map(({ topic }) => topic),
    ["create", "start", "exit", "delete"],
  );
});

test("a runtime that hangs holds up neither signals nor another container", limit, async (t) => {
  const site = await Site.open(t);
  const shim = await site.ours();
  const [hold, runtime] = [join(site.directory, "hold"), join(site.directory, "hanging")];
  execFileSync("mkfifo", [hold]);
  await writeFile(runtime, `#!/bin/sh\ncase "$*" in *" pause "*) cat ${hold} > /dev/null;; esac\nexec runc "$@"\n`, {
    mode: 0o755,
  });
  await shim.run("one", ["/bin/sleep", "1000"], { runtime });
  const paused = shim.call("pause", { id: "one" });
  await eventually("it is being paused", async () => (await shim.state("one")).status === 5 || undefined);
  await shim.run("two", ["/bin/true"]);
  assert.equal(await shim.wait("two"), 0);
  await shim.delete("two");
  await shim.kill("one");
  assert.equal(await shim.wait("one"), 137);
  await writeFile(hold, "");
  await assert.rejects(paused, { message: /^OCI runtime pause failed: / });
  await shim.delete("one");
});
