/** Pictures of running containers, taken by a real daemon. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { mountAll, unmountAll } from "../../src/platform/mod.ts";
import { cloneTree } from "../../src/snapshots/tree-clone.ts";
import { TaskStatus, tasks, snapshots as wire } from "../../src/wire/mod.ts";
import { eventually } from "../harness/eventually.ts";
import { codeOf } from "../harness/grpc-client.ts";
import { consistentCounter, counting } from "./counting.ts";
import { Harbour } from "../harness/harbour.ts";

for (const snapshotter of ["overlayfs", "native"]) {
  describe(`pictures on ${snapshotter}`, () => {
    let harbour: Harbour;
    before(async () => {
      harbour = await Harbour.open(`online-${snapshotter}`, { snapshotter });
      await harbour.run("counter", counting, "--snapshotter", snapshotter);
      await eventually("the container counts", async () => {
        const files = await harbour.exec("counter", "ls", "/data").catch(() => "");
        return files.includes("pair-") || undefined;
      });
    });
    after(() => harbour?.dispose());

    /** Mounts a snapshot to be read, as long as `use` runs. */
    async function within<T>(name: string, use: (root: string) => T): Promise<T> {
      const key = `look-${name}`;
      const { mounts } = await harbour.snapshots.view({
        snapshotter,
        key,
        parent: name,
        labels: { "containerd.io/gc.root": "test" },
      });
      const root = mkdtempSync(join(tmpdir(), "shiplog-look-"));
      await mountAll(mounts, root);
      try {
        return use(root);
      } finally {
        await unmountAll(root);
        rmSync(root, { recursive: true });
        await harbour.snapshots.remove({ snapshotter, key });
      }
    }

    test("a container that counts is pictured again and again, and each picture is of one moment", async (t) => {
      const times = snapshotter === "overlayfs" ? 50 : 5;
      let last = 0;
      const pauses: number[] = [];
      for (let number = 0; number < times; number++) {
        const name = `picture-${number}`;
        const taken = await harbour.pictures.take({ container: "counter", name });
        assert.deepEqual(taken.paused, ["counter"]);
        assert.ok(taken.pausedNanoseconds > 0n);
        pauses.push(Number(taken.pausedNanoseconds) / 1e6);
        const counter = await within(name, (root) => consistentCounter(join(root, "data")));
        assert.ok(counter > last, `${counter} after ${last}`);
        last = counter;
      }
      assert.equal(await harbour.status("counter"), TaskStatus.RUNNING);
      pauses.sort((a, b) => a - b);
      const of = (part: number) => pauses[Math.min(pauses.length - 1, Math.floor(pauses.length * part))]!.toFixed(1);
      t.diagnostic(`${snapshotter}: paused ms, median ${of(0.5)}, 95 % ${of(0.95)}, most ${of(1)}`);
    });

    test("without standing still a copy is of no one moment, so the proof can fail", async () => {
      const { mounts } = await harbour.snapshots.mounts({ snapshotter, key: "counter" });
      const upper = mounts[0]!.options.find((option) => option.startsWith("upperdir="))?.slice("upperdir=".length);
      const within = mkdtempSync(join(tmpdir(), "shiplog-torn-"));
      const isTorn = (number: number) => {
        try {
          cloneTree(upper ?? mounts[0]!.source, { within, name: `${number}` }, () => {});
          consistentCounter(join(within, `${number}`, "data"));
          return false;
        } catch {
          return true;
        }
      };
      try {
        assert.ok(Array.from({ length: 40 }, (_, number) => number).some(isTorn));
      } finally {
        rmSync(within, { recursive: true });
      }
    });

    test("the facts say what stood still for which picture, and why", async () => {
      await harbour.pictures.take({ container: "counter", name: "told" });
      const source = (await harbour.facts(`snapshot/${snapshotter}/counter`)).slice(-2);
      assert.deepEqual(
        source.map(({ type }) => type),
        ["SnapshotTaking", "SnapshotTaken"],
      );
      const [taking, taken] = source;
      const task = (await harbour.facts("task/counter")).slice(-2);
      assert.deepEqual(
        task.map(({ type, cause }) => [type, cause]),
        [
          ["TaskPaused", taking!.position],
          ["TaskResumed", taking!.position],
        ],
      );
      assert.deepEqual(taken!.data.list("paused"), ["counter"]);
      assert.ok(taken!.data.number("pausedNs") > 0);
      assert.ok(taken!.data.number("sharedBytes") + taken!.data.number("copiedBytes") >= 8 * 1024 * 1024);
      const [pictured] = await harbour.facts(`snapshot/${snapshotter}/told`);
      assert.equal(pictured!.type, "SnapshotPictured");
      assert.equal(pictured!.data.under("of").text("container"), "counter");
    });

    test("containerd's API has a picture as a committed snapshot, on the same parent, which no collection takes", async () => {
      const { info } = await harbour.snapshots.stat({ snapshotter, key: "told" });
      const { info: active } = await harbour.snapshots.stat({ snapshotter, key: "counter" });
      assert.deepEqual([info!.kind, active!.kind], [wire.Kind.COMMITTED, wire.Kind.ACTIVE]);
      assert.equal(info!.parent, active!.parent);
      const { size } = await harbour.snapshots.usage({ snapshotter, key: "told" });
      assert.ok(size >= 8n * 1024n * 1024n);
      assert.equal((await harbour.shiplog("gc")).code, 0);
      await harbour.snapshots.stat({ snapshotter, key: "told" });
    });

    test("a name is taken once, and only of what is active", async () => {
      const take = (request: Parameters<Harbour["pictures"]["take"]>[0]) => codeOf(harbour.pictures.take(request));
      assert.equal(await take({ container: "counter", name: "told" }), "ALREADY_EXISTS");
      assert.equal(await take({ container: "nobody", name: "n" }), "NOT_FOUND");
      assert.equal(await take({ snapshotter, key: "told", name: "n" }), "FAILED_PRECONDITION");
      assert.equal(await take({ snapshotter, key: "nothing", name: "n" }), "NOT_FOUND");
      assert.equal(await take({ container: "counter", name: "" }), "INVALID_ARGUMENT");
      assert.equal(await harbour.status("counter"), TaskStatus.RUNNING);
    });

    test("a container that a client has paused stays paused", async () => {
      await harbour.ctr("tasks", "pause", "counter");
      const { paused, pausedNanoseconds } = await harbour.pictures.take({ container: "counter", name: "of-paused" });
      assert.deepEqual([paused, pausedNanoseconds], [[], 0n]);
      assert.equal(await harbour.status("counter"), TaskStatus.PAUSED);
      await harbour.ctr("tasks", "resume", "counter");
      await within("of-paused", (root) => consistentCounter(join(root, "data")));
    });

    test("whoever resumes a container while its picture is taken gets no torn picture", async () => {
      // The large file makes the copy last long enough.
      await harbour.exec("counter", "dd", "if=/dev/zero", "of=/data/large", "bs=1M", "count=400");
      const taking = codeOf(harbour.pictures.take({ container: "counter", name: "disturbed" }));
      await eventually("it stands still", async () =>
        (await harbour.status("counter")) === TaskStatus.PAUSED ? true : undefined,
      );
      const removing = codeOf(harbour.snapshots.remove({ snapshotter, key: "counter" }));
      const service = harbour.connection.service(tasks.TasksDefinition, { namespace: harbour.namespace });
      await service.resume({ containerId: "counter" });
      assert.equal(await removing, "FAILED_PRECONDITION", "it cannot be removed meanwhile");
      assert.equal(await taking, "ABORTED");
      await harbour.exec("counter", "rm", "/data/large");
      const [failed] = (await harbour.facts(`snapshot/${snapshotter}/counter`)).slice(-1);
      assert.equal(failed!.type, "SnapshotTakeFailed");
      assert.equal(await codeOf(harbour.snapshots.stat({ snapshotter, key: "disturbed" })), "NOT_FOUND");
      assert.equal(await harbour.status("counter"), TaskStatus.RUNNING);
      await harbour.isSound();
    });

    test("the command tells of pictures, what differs between them, and makes images and containers of them", async () => {
      const shiplog = async (...args: string[]) => {
        const { code, stdout, stderr } = await harbour.shiplog("snapshot", ...args);
        assert.equal(code, 0, stderr);
        return stdout;
      };
      assert.match(await shiplog("take", "counter", "before"), /^before: counter paused for [\d.]+ ms; .* copied$/m);
      await harbour.exec("counter", "sh", "-c", "echo hello > /etc/greeting; rm /etc/motd; echo root:x > /etc/passwd");
      await shiplog("take", "counter", "after");
      assert.match(await shiplog("ls"), /^after +picture +counter /m);
      const changes = (await shiplog("diff", "before", "after")).split("\n");
      for (const line of ["A etc/greeting", "D etc/motd", "M etc/passwd"]) assert.ok(changes.includes(line), line);

      const image = "example.test/saved:1";
      const exported = await shiplog("export", "after", image);
      assert.match(exported, /sha256:[0-9a-f]{12}, 3 layers, the last of them the snapshot's$/m);
      assert.equal((await harbour.shiplog("gc")).code, 0);
      const shown = await harbour.ctr(
        "run",
        "--rm",
        "--snapshotter",
        snapshotter,
        image,
        "exported",
        "cat",
        "/etc/greeting",
      );
      assert.equal(shown, "hello\n");

      await harbour.remove("counter");
      await shiplog("restore", "after", "again");
      await harbour.ctr("tasks", "start", "-d", "--null-io", "again");
      assert.equal(await harbour.exec("again", "cat", "/etc/greeting"), "hello\n");
      await eventually("it counts again", async () => {
        const pairs = await harbour.exec("again", "ls", "/data");
        return pairs.includes("pair-") || undefined;
      });
      await harbour.remove("again");
      await shiplog("rm", "before", "after", "told");
      assert.doesNotMatch(await shiplog("ls", "--all"), /^(?:before|after|told) /m);
      await harbour.isSound();
    });
  });
}
