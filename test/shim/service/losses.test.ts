/** Output that a full disk has no room for: its loss is told to the daemon, counted, whoever is away meanwhile. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../../harness/eventually.ts";
import { readJournal } from "../../../src/shim/journal/mod.ts";
import { readLog } from "../log/log-files.ts";
import { smallDisk } from "../log/small-disk.ts";
import { Site } from "./shims.ts";

const limit = { timeout: 60_000 };
const seq = (first: number, last: number) => `/bin/busybox seq ${first} ${last}`;

const lossesOf = (site: Site) => site.told.filter(({ topic }) => topic === "log-loss");
const lostLines = (site: Site) => lossesOf(site).reduce((sum, { lines }) => sum + Number(lines), 0);

for (const [execId, whose] of [
  ["", "a container"],
  ["e", "an exec"],
] as const) {
  test(
    `lines of ${whose} that a full disk has no room for are told of once the daemon is there, and add up`,
    limit,
    async (t) => {
      const site = await Site.open(t);
      const disk = await smallDisk(t);
      const shim = await site.ours();
      const path = `${disk.directory}/c.log`;
      const stdout = `json-file://${path}?on-full=drop`;
      await disk.fill(200_000);
      // Longer than two reports: while the first waits for the daemon, the others become one.
      const script = `for i in 0 1 2 3; do ${seq(1, 5000)}; /bin/sleep 0.6; done`;
      const args = ["/bin/sh", "-c", script];
      if (execId === "") {
        await shim.create(await site.bundle("one", args), { stdout });
        await site.event("create");
        await site.daemonLeaves();
        await shim.start("one");
      } else {
        await shim.run("one", ["/bin/sleep", "1000"]);
        await shim.addExec("one", execId, args, { stdout });
        await site.event("exec-added");
        await site.daemonLeaves();
        await shim.start("one", execId);
      }
      await shim.wait("one", execId);
      await shim.delete("one", execId);
      const kept = (await readLog(path, "json-file")).length;
      await site.daemonComes();
      await eventually("all of the loss is told", () => (lostLines(site) >= 20_000 - kept ? true : undefined));
      assert.equal(lostLines(site), 20_000 - kept);
      assert.equal(lossesOf(site).length, 2);
      for (const loss of lossesOf(site)) {
        assert.deepEqual([loss.containerId, loss.execId], ["one", execId]);
        assert.equal(loss.reason, "the file cannot be written: ENOSPC");
        assert.ok(Number(loss.bytes) > Number(loss.lines) * 20);
      }
    },
  );
}

test("a loss that the daemon has not taken is told by the next shim, and marked as taken then", limit, async (t) => {
  const site = await Site.open(t);
  const disk = await smallDisk(t);
  const { shim, kill } = await site.separate();
  await disk.fill(0);
  const bundle = await site.bundle("one", ["/bin/sh", "-c", `${seq(1, 100)}; exec /bin/sleep 1000`]);
  await shim.create(bundle, { stdout: `cri://${disk.directory}/c.log?on-full=drop` });
  await site.event("create");
  await site.daemonLeaves();
  await shim.start("one");
  const losses = () => readJournal(bundle)!.filter(({ record }) => record.type === "outputLost");
  await eventually("the loss is written down", () => (losses().length === 1 ? true : undefined));
  await kill();
  await site.daemonComes();
  const next = await site.ours();
  await next.adopt(bundle);
  const told = await site.event("log-loss");
  assert.equal(Number(told.lines), 100 - (await readLog(`${disk.directory}/c.log`, "cri")).length);
  const [{ number } = { number: -1 }] = losses();
  const isMarked = () =>
    readJournal(bundle)!.some(({ record }) => record.type === "acknowledged" && record.record === number);
  await eventually("it is marked as taken", () => (isMarked() ? true : undefined));
  await next.kill("one");
  await site.event("exit");
  assert.equal(lossesOf(site).length, 1);
});
