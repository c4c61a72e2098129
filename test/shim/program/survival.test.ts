import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "../../harness/eventually.ts";
import { isRunning, Workshop } from "./workshop.ts";

/** Raised by hand to search for longer. */
const rounds = Number(process.env.SHIPLOG_SHIM_KILLS ?? 4);

/** Milliseconds between a create that begins and its shim's death; a create takes some 100. */
const momentMsMax = 200;

for (const grouping of ["container", "sandbox", "namespace"] as const) {
  test(`whenever the shims of a ${grouping} are killed, every container is found again and ends once, as it did`, {
    timeout: 60_000 + 5_000 * rounds,
  }, async (t) => {
    const workshop = await Workshop.open(t);
    const environment = { SHIPLOG_SHIM_GROUPING: grouping };
    const annotations = { "io.kubernetes.cri.sandbox-id": "pod" };
    const start = (id: string) => workshop.start(id, { environment });
    const pids = new Map<string, number>();
    const moments: number[] = [];
    t.after(() => t.diagnostic(`killed after ${moments.join(", ")} ms`));
    const codeOf = (id: string) => 10 + Number(id.slice(1));
    for (let round = 0; round < rounds; round++) {
      const id = `c${round}`;
      const script = `while [ ! -e /go ]; do sleep 0.05; done; exit ${codeOf(id)}`;
      await workshop.bundle(id, ["/bin/sh", "-c", script], annotations);
      const address = await start(id);
      const creating = workshop.runContainer(address, id).catch(() => undefined);
      const moment = Math.floor(Math.random() * momentMsMax);
      moments.push(moment);
      await delay(moment);
      for (const { pid } of await workshop.shims()) process.kill(pid, "SIGKILL");
      await creating;
      // What the daemon does for each of its tasks: a shim for its bundle, then a look at what it has.
      for (const known of [...pids.keys(), id]) {
        const next = await start(known);
        const state = await workshop
          .call(next, "state", { id: known, execId: "" })
          .catch((error: { code?: number }) => {
            assert.equal(error.code, 5, "only a container that was not finished is unknown");
            return undefined;
          });
        if (known === id) {
          if (state === undefined) pids.set(id, await workshop.runContainer(next, id));
          else {
            await workshop.call(next, "start", { id, execId: "" }).catch(() => {});
            pids.set(id, state.pid);
          }
        } else assert.equal(state?.pid, pids.get(known), `${known} is the one that it was`);
      }
      for (const [known, pid] of pids) assert.ok(await isRunning(pid), `${known} runs`);
      assert.equal((await workshop.shims()).length, grouping === "container" ? pids.size : 1);
    }
    for (const id of pids.keys()) await writeFile(join(workshop.directory, id, "rootfs", "go"), "");
    const expected = [...pids.keys()].map((id) => `${id} ${codeOf(id)}`).sort();
    await eventually("every exit is told", () => (workshop.exits.length >= expected.length ? true : undefined));
    for (const id of pids.keys()) {
      const address = await start(id);
      const { exitStatus } = await workshop.call(address, "delete", { id, execId: "" });
      assert.equal(exitStatus, codeOf(id));
      await workshop.call(address, "shutdown", { id, now: false });
    }
    await eventually("no shim is left", async () => ((await workshop.shims()).length === 0 ? true : undefined));
    assert.deepEqual(workshop.exits.toSorted(), expected);
  });
}
