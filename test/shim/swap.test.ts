/**
 * Either daemon with either shim: the scripts that are about running things give on all four pairs what they give on containerd with its own, call by
 * call and event by event.
 */
import assert from "node:assert/strict";
import { access, mkdir, symlink } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { scriptsOfTasks } from "../differential/ctr/mod.ts";
import { type Answer, type Performance, performOn, prepareStage } from "../differential/ctr/performance.ts";
import { containerd, shiplogdWithoutCollection } from "../harness/daemons.ts";
import { temporaryDirectory } from "../harness/temporary.ts";

const ours = fileURLToPath(new URL("../../bin/containerd-shim-shiplog-v1", import.meta.url));
const theirName = "containerd-shim-runc-v2";

/** Runs only the script of this name, to work on it. */
const only = process.env.SHIPLOG_SCRIPT ?? "";

/**
 * What may differ. The process has its client's FIFO itself, so what the OCI runtime writes to standard error before it gives way to the process is seen
 * there; with containerd's shim it stays in a pipe that nobody reads when a create fails. The runtime's log is a file per call. And our shim hands
 * resources on as they are: what is no JSON, the runtime refuses in its own words.
 */
const asReference = ({ output, errors, ...answer }: Answer): Answer => ({
  ...answer,
  output: output.filter((line) => !runtimeWords.test(line)),
  errors: errors
    .filter((line) => !runtimeWords.test(line))
    .map((line) =>
      line.replace(/runtime-log-\d+-\d+\.json/, "log.json").replace(noJson, "unexpected end of JSON input"),
    ),
});
const runtimeWords = /^runc (create|exec) failed: |^exec failed: /;
const noJson = /runc did not terminate successfully: exit status 1: unexpected EOF\n/;

async function theirShim(): Promise<string> {
  for (const directory of process.env.PATH!.split(delimiter)) {
    const path = join(directory, theirName);
    if (
      await access(path).then(
        () => true,
        () => false,
      )
    )
      return path;
  }
  throw new Error(`${theirName} is not in PATH`);
}

async function compare(t: TestContext, actual: Performance, reference: Performance): Promise<void> {
  for (const [index, expected] of reference.answers.entries())
    await t.test(expected.command, () =>
      assert.deepEqual(actual.answers[index] && asReference(actual.answers[index]), expected),
    );
  await t.test("ctr events", () => assert.deepEqual(actual.events, reference.events));
}

test("our shim and containerd's give the same exit codes, output and events, under either daemon", async (t) => {
  const stage = await prepareStage(await temporaryDirectory(t));
  // containerd looks for the name in PATH, and finds ours by it first.
  const first = join(stage.directory, "shim");
  await mkdir(first);
  await symlink(ours, join(first, theirName));
  const runtimes = `[runtimes]\n"io.containerd.runc.v2" = ${JSON.stringify(await theirShim())}\n`;
  const containerdOnOurs = async () =>
    (await containerd()).withEnvironment({ PATH: `${first}${delimiter}${process.env.PATH}` });
  const shiplogdOnTheirs = () => shiplogdWithoutCollection(runtimes);
  const compared = { answers: 0, events: 0 };
  for (const script of scriptsOfTasks.filter(({ name }) => only === "" || name === only)) {
    await t.test(script.name, async (t) => {
      const [reference, shiplogd] = await Promise.all([
        performOn(t, stage, containerd, script, "cc"),
        performOn(t, stage, shiplogdWithoutCollection, script, "ss"),
      ]);
      await t.test("shiplogd with our shim", (t) => compare(t, shiplogd, reference));
      const [mixed, other] = await Promise.all([
        performOn(t, stage, containerdOnOurs, script, "cs"),
        performOn(t, stage, shiplogdOnTheirs, script, "sc"),
      ]);
      await t.test("containerd with our shim", (t) => compare(t, mixed, reference));
      await t.test("shiplogd with containerd's shim", (t) => compare(t, other, reference));
      for (const { answers, events } of [shiplogd, mixed, other]) {
        compared.answers += answers.length;
        compared.events += events.length;
      }
    });
  }
  t.diagnostic(`${compared.answers} calls and ${compared.events} events compared`);
});
