/**
 * A namespace is a world of its own: whatever is done in one, by any of the services, the others stay as they were. SHIPLOG_ISOLATION_SEED
 * and SHIPLOG_ISOLATION_RUNS set the random numbers and how many sequences there are.
 */
import assert from "node:assert/strict";
import { copyFile, mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { connect } from "../../src/cli/client.ts";
import { type SharingPolicy, sharingPolicies } from "../../src/content/mod.ts";
import { log } from "../../src/wire/mod.ts";
import { shiplogd } from "../harness/daemons.ts";
import { eventually } from "../harness/eventually.ts";
import { removeRuncTraces } from "../harness/runc-traces.ts";
import { type Command, perform, type Place } from "./command.ts";
import { command } from "./commands.ts";
import { pictureOf } from "./picture.ts";
import { population, running } from "./population.ts";
import { Told } from "./told.ts";

const seed = Number(process.env.SHIPLOG_ISOLATION_SEED ?? Date.now() % 1_000_000);
const numRuns = Number(process.env.SHIPLOG_ISOLATION_RUNS ?? 6);

/** In one run of so many a container of the other namespace runs. */
const RUNNING_EVERY = 4;

for (const policy of sharingPolicies) {
  test(`nothing done in one namespace changes another when content is ${policy} (seed ${seed})`, async (t) => {
    const served = await serve(t, policy);
    let runs = 0;
    const calls = { accepted: 0, refused: 0 };
    const sequence = fc.record({
      /** Whether the namespace begins as a twin of the other, so that there is much to change. */
      twin: fc.boolean(),
      commands: fc.noBias(fc.array(command, { minLength: 1, maxLength: 80, size: "max" })),
    });
    await fc.assert(
      fc.asyncProperty(sequence, async ({ twin, commands }) => {
        const run = `${process.pid}-${policy}-${runs}`;
        runs += 1;
        const here = { ...served, namespace: `here-${run}`, otherNamespace: `there-${run}`, run };
        const there = { ...here, namespace: here.otherNamespace, otherNamespace: here.namespace };
        t.after(() => Promise.all([here, there].map(({ namespace }) => removeRuncTraces(namespace))));
        const told = await Told.of(there);
        try {
          const { nextPosition } = await served.connection.service(log.LogDefinition).head({});
          for (const each of population) await perform(each, there);
          if (runs % RUNNING_EVERY === 1) for (const each of running) await perform(each, there);
          assert.notDeepEqual(await told.taken(), []);
          const before = await pictureOf(there, nextPosition);
          for (const each of twin ? [...population, ...commands] : commands) calls[await outcomeOf(each, here)] += 1;
          assert.deepEqual(await pictureOf(there, nextPosition), before);
          assert.deepEqual(await told.taken(), []);
        } finally {
          await told.end();
          for (const place of [here, there]) await endTask(place);
        }
      }),
      { seed, numRuns },
    );
    t.diagnostic(`${runs} sequences, ${calls.accepted} calls accepted and ${calls.refused} refused`);
  });
}

/** A daemon of this policy that collects by itself, and a root directory for containers. */
async function serve(t: TestContext, policy: SharingPolicy): Promise<Pick<Place, "connection" | "rootfs">> {
  const daemon = await shiplogd();
  t.after(() => daemon.dispose());
  const config = join(daemon.paths.directory, "config.toml");
  await writeFile(config, `[content]\nsharing_policy = "${policy}"\n`);
  const rootfs = join(daemon.paths.directory, "rootfs");
  for (const name of ["bin", "proc", "dev", "sys"]) await mkdir(join(rootfs, name), { recursive: true });
  await copyFile("/bin/busybox", join(rootfs, "bin", "busybox"));
  await symlink("busybox", join(rootfs, "bin", "sleep"));
  const configured = daemon.with(["--config", config]);
  t.after(() => configured.dispose());
  await configured.start();
  const connection = connect(daemon.address);
  t.after(() => connection.close());
  return { connection, rootfs };
}

async function outcomeOf(command: Command, place: Place): Promise<"accepted" | "refused"> {
  try {
    await perform(command, place);
    return "accepted";
  } catch (error) {
    // A status of the daemon's; anything else is a mistake of the test.
    if (typeof (error as { code?: unknown }).code !== "number") throw error;
    return "refused";
  }
}

/** Ends the one container that a sequence may have started. */
async function endTask(place: Place): Promise<void> {
  const request = { containerId: "x", signal: 9, all: true };
  await eventually(`no task is left in ${place.namespace}`, async () => {
    if ((await outcomeOf({ call: "tasks.get", request }, place)) === "refused") return true;
    for (const call of ["tasks.resume", "tasks.kill", "tasks.delete"] as const)
      await outcomeOf({ call, request }, place);
    return undefined;
  });
}
