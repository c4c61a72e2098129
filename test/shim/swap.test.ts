/**
 * Our shim in place of Debian's, under containerd and under shiplogd: the scripts of `ctr` that make tasks run on each of the pairs, and every answer and
 * event is compared with that of containerd and its own shim. (shiplogd with Debian's shim is the fourth pair: test/differential/ctr.test.ts.)
 */
import assert from "node:assert/strict";
import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { life } from "../differential/ctr/life.ts";
import { run } from "../differential/ctr/run.ts";
import { tasks } from "../differential/ctr/tasks.ts";
import { type Answer, performOn, prepareStage } from "../differential/ctr/performance.ts";
import { containerd, shiplogdWithoutCollection, type TestDaemon } from "../harness/daemons.ts";
import { temporaryDirectory } from "../harness/temporary.ts";

const shim = fileURLToPath(new URL("../../bin/containerd-shim-shiplog-v1", import.meta.url));

/** Runs only the script of this name, to work on it. */
const only = process.env.SHIPLOG_SCRIPT ?? "";

/**
 * What may differ. The process has its client's FIFO itself, so what the OCI runtime writes to standard error before it gives way to the process is seen
 * there; with containerd's shim it stays in a pipe that nobody reads when a create fails. And the runtime's log is a file per call.
 */
const asReference = ({ output, errors, ...answer }: Answer): Answer => ({
  ...answer,
  output: output.filter((line) => !runtimeWords.test(line)),
  errors: errors.filter((line) => !runtimeWords.test(line)).map((line) => line.replace(/runtime-log-\d+-\d+\.json/, "log.json")),
});
const runtimeWords = /^runc (create|exec) failed: |^exec failed: /;

test("our shim gives the same exit codes, output and events as containerd's, under either daemon", async (t) => {
  const stage = await prepareStage(await temporaryDirectory(t));
  // Daemons look for `containerd-shim-runc-v2` in PATH, and find ours by that name first.
  const ours = join(stage.directory, "shim");
  await mkdir(ours);
  await symlink(shim, join(ours, "containerd-shim-runc-v2"));
  const withOurs = (make: () => Promise<TestDaemon>) => async () =>
    (await make()).withEnvironment({ PATH: `${ours}:${process.env.PATH}` });
  const compared = { answers: 0, events: 0 };
  for (const script of [life, run, tasks].filter(({ name }) => only === "" || name === only)) {
    await t.test(script.name, async (t) => {
      const reference = await performOn(t, stage, containerd, script, "swap-c");
      for (const [name, make, as] of [
        ["containerd with our shim", containerd, "swap-co"],
        ["shiplogd with our shim", shiplogdWithoutCollection, "swap-so"],
      ] as const) {
        await t.test(name, async (t) => {
          const { answers, events } = await performOn(t, stage, withOurs(make), script, as);
          for (const [index, expected] of reference.answers.entries())
            await t.test(expected.command, () => assert.deepEqual(answers[index] && asReference(answers[index]), expected));
          await t.test("ctr events", () => assert.deepEqual(events, reference.events));
          compared.answers += answers.length;
          compared.events += events.length;
        });
      }
    });
  }
  t.diagnostic(`${compared.answers} calls and ${compared.events} events compared`);
});
