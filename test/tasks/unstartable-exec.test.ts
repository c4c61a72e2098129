/** A process that the runtime could not start has no exit, whoever was there to hear of it. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { TaskDaemon } from "./task-daemon.ts";
import { noIo, processSpecOf } from "./workshop.ts";

let daemon: TaskDaemon;
before(async () => {
  daemon = await TaskDaemon.open();
});
after(() => daemon.remove());

/** A running task with an exec that the runtime cannot start, whose start the shim is asked for by somebody who dies before the reply. */
async function failedUnheard(id: string): Promise<void> {
  const { manager, origin } = daemon;
  await daemon.run(id, ["sleep", "1000"]);
  await manager.exec(origin, id, { execId: "e", io: noIo, spec: processSpecOf(["/not/there"]) });
  await daemon.record(id, { type: "StartExec", id, execId: "e" });
  await daemon.withShim(id, (shim) => assert.rejects(shim.start("e"), /not\/there/));
}

async function since(id: string, type: string): Promise<string[]> {
  const types = await daemon.types(id);
  return types.slice(types.indexOf(type));
}

test("an exec that could not be started while the daemon was away has no exit", async () => {
  await failedUnheard("away");
  await daemon.restart();
  assert.deepEqual(await since("away", "ExecStarting"), ["ExecStarting", "ExecStartFailed"]);
  await daemon.kill("away");
  await daemon.wait("away");
  await daemon.manager.delete(daemon.origin, "away");
});

test("an exec that could not be started has no exit when its task ends before that is known", async () => {
  await failedUnheard("ends");
  await daemon.kill("ends");
  await daemon.wait("ends");
  const types = await since("ends", "ExecStarting");
  assert.ok(!types.includes("ExecExited"), types.join(" "));
  await daemon.manager.delete(daemon.origin, "ends");
});
