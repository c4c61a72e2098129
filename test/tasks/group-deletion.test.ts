/** A deletion that a crash cut short, when the shim of the group has been replaced meanwhile for another of its containers. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually } from "../harness/eventually.ts";
import { runcTraces } from "../harness/runc-traces.ts";
import { TaskDaemon } from "./task-daemon.ts";
import { hasEnded, ownShim, shimsOf } from "./workshop.ts";

let daemon: TaskDaemon;
before(async () => {
  daemon = await TaskDaemon.open();
});
after(() => daemon.remove());

test("a container that the group's new shim does not know of is not taken for deleted", async () => {
  const group = { annotations: { "io.kubernetes.cri.sandbox-id": "stays" } };
  await daemon.run("stays", ["sleep", "1000"], group);
  await daemon.container("goes", ["sleep", "1000"], group);
  await daemon.create("goes");
  const { pid } = daemon.task("goes")!;
  await daemon.stop();
  await daemon.record("goes", { type: "DeleteTask", id: "goes" });
  const { workshop, namespace } = daemon;
  process.kill(shimsOf(workshop.address)[0]!.pid, "SIGKILL");
  const stays = { namespace, id: "stays" };
  await workshop.launcher.start(ownShim, stays, workshop.bundles.pathOf(stays), null);
  await daemon.begin();
  assert.equal(daemon.task("goes"), undefined);
  await eventually("its process is ended with it", () => (hasEnded(pid) ? true : undefined));
  assert.deepEqual(
    (await runcTraces(namespace)).map((path) => path.split("/").at(-1)),
    ["stays"],
  );
  assert.equal(daemon.task("stays")!.status, "running");
  await daemon.kill("stays");
  await daemon.wait("stays");
  await daemon.manager.delete(daemon.origin, "stays");
});

test("the shim of a group does not wait for a container that could not be created", async () => {
  const group = { annotations: { "io.kubernetes.cri.sandbox-id": "first" } };
  for (const id of ["first", "second"]) await daemon.run(id, ["sleep", "1000"], group);
  const end = async (id: string) => {
    await daemon.kill(id);
    await daemon.wait(id);
    await daemon.manager.delete(daemon.origin, id);
  };
  await end("first");
  await daemon.container("fails", ["/not/there"], group);
  await assert.rejects(daemon.create("fails"), /not\/there/);
  await end("second");
  await eventually("no shim is left", () => (shimsOf(daemon.workshop.address).length === 0 ? true : undefined));
});
