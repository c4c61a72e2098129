/** `ctr` cannot tell shiplogd from containerd: scripts of commands against both, compared call by call and event by event. */
import assert from "node:assert/strict";
import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { containerd, shiplogdWithoutCollection, type TestDaemon } from "../harness/daemons.ts";
import { ctr } from "../harness/ctr.ts";
import { buildImage, imageName } from "../harness/image.ts";
import { Registry } from "../harness/registry.ts";
import { removeRuncTraces } from "../harness/runc-traces.ts";
import { temporaryDirectory } from "../harness/temporary.ts";
import { type Script, scripts, type Setting } from "./ctr/mod.ts";
import { furnish, perform, type Performance } from "./ctr/performance.ts";

/** Runs only the script of this name, to work on it. */
const only = process.env.SHIPLOG_SCRIPT ?? "";

test("ctr's commands give the same exit codes, output and events on shiplogd as on containerd", async (t) => {
  const directory = await temporaryDirectory(t);
  const built = await buildImage(directory);
  const newer = (await ctr("", "", ["--version"])).stdout.includes(" 1.7.");

  // A daemon for each script: once a client has waited for a collection, containerd goes on collecting by itself.
  const performed = async (t: TestContext, make: () => Promise<TestDaemon>, script: Script): Promise<Performance> => {
    const daemon = await make();
    t.after(() => daemon.dispose());
    const registry = await Registry.start();
    t.after(() => registry.close());
    const files = join(daemon.paths.directory, script.name);
    const setting: Setting = {
      image: { name: imageName, ...built },
      directory: files,
      shared: directory,
      fifos: join(files, "fifos"),
      // Of this run and daemon alone: runc keeps the states of all daemons in one place, by namespace.
      namespace: `script-${process.pid}-${script.name}-${daemon.name[0]}`,
      registry: registry.host,
    };
    t.after(() => removeRuncTraces(setting.namespace));
    // Containers of other users have to find their root.
    await chmod(daemon.paths.directory, 0o711);
    await furnish(setting, join(directory, "base"));
    await daemon.start();
    return perform(script, daemon, setting, newer);
  };

  const compared = { answers: 0, events: 0 };
  for (const script of scripts.filter(({ name }) => only === "" || name === only)) {
    await t.test(script.name, async (t) => {
      const both = [containerd, shiplogdWithoutCollection];
      const [reference, ours] = await Promise.all(both.map((make) => performed(t, make, script)));
      for (const [index, expected] of reference!.answers.entries())
        await t.test(expected.command, () => assert.deepEqual(ours!.answers[index], expected));
      await t.test("ctr events", () => assert.deepEqual(ours!.events, reference!.events));
      compared.answers += reference!.answers.length;
      compared.events += reference!.events.length;
    });
  }
  t.diagnostic(`${compared.answers} calls and ${compared.events} events compared`);
});
