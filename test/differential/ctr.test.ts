/**
 * `ctr` cannot tell shiplogd from containerd: scripts of commands against both, compared call by call and event by event. (The scripts that are about
 * running things, on every pair of daemon and shim: test/shim/swap.test.ts.)
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { containerd, shiplogdWithoutCollection } from "../harness/daemons.ts";
import { temporaryDirectory } from "../harness/temporary.ts";
import { scriptsOfStores } from "./ctr/mod.ts";
import { performOn, prepareStage } from "./ctr/performance.ts";

/** Runs only the script of this name, to work on it. */
const only = process.env.SHIPLOG_SCRIPT ?? "";

test("ctr's commands give the same exit codes, output and events on shiplogd as on containerd", async (t) => {
  const stage = await prepareStage(await temporaryDirectory(t));
  const compared = { answers: 0, events: 0 };
  for (const script of scriptsOfStores.filter(({ name }) => only === "" || name === only)) {
    await t.test(script.name, async (t) => {
      const [reference, ours] = await Promise.all([
        performOn(t, stage, containerd, script, "c"),
        performOn(t, stage, shiplogdWithoutCollection, script, "s"),
      ]);
      for (const [index, expected] of reference.answers.entries())
        await t.test(expected.command, () => assert.deepEqual(ours.answers[index], expected));
      await t.test("ctr events", () => assert.deepEqual(ours.events, reference.events));
      compared.answers += reference.answers.length;
      compared.events += reference.events.length;
    });
  }
  t.diagnostic(`${compared.answers} calls and ${compared.events} events compared`);
});
