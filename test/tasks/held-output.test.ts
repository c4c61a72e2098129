/** What a container prints while it has no shim is kept for the next one, also when the container has ended by then. */
import assert from "node:assert/strict";
import { readdirSync, readlinkSync } from "node:fs";
import { chmod, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { eventually } from "../harness/eventually.ts";
import { TaskDaemon } from "./task-daemon.ts";
import { hasEnded, ownShim, shimsOf } from "./workshop.ts";

/** How long a deletion waits for output that is still on its way. */
const moreOutputMs = 10_000;

let daemon: TaskDaemon;
before(async () => {
  daemon = await TaskDaemon.open({ ownShim: async (base) => breakable(base) });
});
after(() => daemon.remove());

/** Our shim by another path; it does not start while the file `broken` is there. */
async function breakable(base: string): Promise<string> {
  const path = join(base, "shim");
  await writeFile(path, `#!/bin/sh\n[ ! -e '${base}/broken' ] || exit 1\nexec '${ownShim}' "$@"\n`);
  await chmod(path, 0o755);
  return path;
}

test("a container that ends while it has no shim loses nothing of its output", async () => {
  const { base, address } = daemon.workshop;
  const [broken, path] = [join(base, "broken"), join(base, "output.log")];
  const text = () => readFile(path, "utf8").catch(() => "");
  await daemon.container("ends", [
    "sh",
    "-c",
    "trap 'echo last; exit 3' TERM; echo first; while :; do sleep 0.02; done",
  ]);
  const { pid } = await daemon.create("ends", {
    stdin: "",
    stdout: `json-file://${path}`,
    stderr: "",
    terminal: false,
  });
  await daemon.manager.start(daemon.origin, "ends", "");
  await eventually("it prints", async () => ((await text()).includes("first") ? true : undefined));
  try {
    await writeFile(broken, "");
    process.kill(shimsOf(address)[0]!.pid, "SIGKILL");
    await eventually("the loss is recorded", () => (daemon.task("ends")!.shim === null ? true : undefined));
    process.kill(pid, "SIGTERM");
    await eventually("it ends", () => (hasEnded(pid) ? true : undefined));
  } finally {
    await rm(broken, { force: true });
  }
  assert.equal((await daemon.wait("ends")).status, 3);
  await eventually("it has another shim", () => (daemon.task("ends")!.shim !== null ? true : undefined));
  const before = Date.now();
  await daemon.manager.delete(daemon.origin, "ends");
  assert.ok(Date.now() - before < moreOutputMs, "its deletion does not wait for more");
  assert.match(await text(), /first.*\n.*last/);
  const own = readdirSync("/proc/self/fd").flatMap(linkOf);
  assert.deepEqual(
    own.filter((link) => link.startsWith(base) && link.includes("/io/")),
    [],
    "nothing is held any more",
  );
});

function linkOf(descriptor: string): string[] {
  try {
    return [readlinkSync(`/proc/self/fd/${descriptor}`)];
  } catch {
    // The one by which the directory was read.
    return [];
  }
}
