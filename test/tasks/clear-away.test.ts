/** What is cleared away does not run on, whoever has the right to its journal. */
import assert from "node:assert/strict";
import { chmod, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Journal } from "../../src/shim/journal/mod.ts";
import { eventually } from "../harness/eventually.ts";
import { TaskDaemon } from "./task-daemon.ts";
import { hasEnded, ownShim, shimsOf } from "./workshop.ts";

let daemon: TaskDaemon;
before(async () => {
  daemon = await TaskDaemon.open({ ownShim: async (base) => breakable(base) });
});
after(() => daemon.remove());

/** Our shim by another path; it does not start while the file `broken` is there. */
async function breakable(base: string): Promise<string> {
  const path = join(base, "shim");
  const ends = `case "$*" in *start) [ ! -e '${base}/broken' ] || exit 1 ;; esac`;
  await writeFile(path, `#!/bin/sh\n${ends}\nexec '${ownShim}' "$@"\n`);
  await chmod(path, 0o755);
  return path;
}

test("a container is ended by its deletion while another shim is just taking it over", async () => {
  const broken = join(daemon.workshop.base, "broken");
  await daemon.container("held", ["sleep", "1000"]);
  await daemon.create("held");
  const { pid } = daemon.task("held")!;
  await writeFile(broken, "");
  let journal: Journal | undefined;
  try {
    process.kill(shimsOf(daemon.workshop.address)[0]!.pid, "SIGKILL");
    await eventually("the loss is recorded", () => (daemon.task("held")!.shim === null ? true : undefined));
    journal = await Journal.open(daemon.workshop.bundles.pathOf({ namespace: daemon.namespace, id: "held" }));
    const deleted = daemon.manager.delete(daemon.origin, "held");
    await eventually("its process has ended", () => (hasEnded(pid) ? true : undefined));
    await journal.close();
    const { exit } = await deleted;
    assert.deepEqual([exit.status, exit.known], [137, true]);
  } finally {
    await journal?.close();
    await rm(broken, { force: true });
  }
  assert.equal(daemon.task("held"), undefined);
});
