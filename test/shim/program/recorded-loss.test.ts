import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { LogLoss } from "../../../src/wire/gen/shiplog/shim/v1/shim.ts";
import { ctr } from "../../harness/ctr.ts";
import { shiplogdWithoutCollection } from "../../harness/daemons.ts";
import { eventually } from "../../harness/eventually.ts";
import { buildImage, imageName } from "../../harness/image.ts";
import { removeRuncTraces } from "../../harness/runc-traces.ts";
import { temporaryDirectory } from "../../harness/temporary.ts";
import { readLog } from "../log/log-files.ts";
import { smallDisk } from "../log/small-disk.ts";

const namespace = "shim-recorded-loss";
const shiplog = fileURLToPath(new URL("../../../bin/shiplog", import.meta.url));
const run = promisify(execFile);

interface Published {
  readonly type: string;
  readonly data: { readonly topic?: string; readonly event?: { readonly typeUrl: string; readonly value: string } };
}

test("shiplogd has on record what a full disk has lost of a log", { timeout: 90_000 }, async (t) => {
  const { archive } = await buildImage(await temporaryDirectory(t));
  const daemon = await shiplogdWithoutCollection();
  t.after(async () => {
    await daemon.dispose();
    await removeRuncTraces(namespace);
  });
  await daemon.start();
  const disk = await smallDisk(t);
  const ok = async (args: readonly string[]) => {
    const { code, stderr } = await ctr(daemon.address, namespace, args);
    assert.equal(code, 0, stderr);
  };
  await ok(["images", "import", archive]);
  await disk.fill(20_000);
  const script = "i=0; while [ $i -lt 1000 ]; do echo $i; i=$((i + 1)); done";
  const log = `json-file://${disk.directory}/log?on-full=drop`;
  await ok(["run", "--rm", "--log-uri", log, imageName, "one", "sh", "-c", script]);
  const kept = (await readLog(`${disk.directory}/log`, "json-file")).length;
  const losses = async () => {
    const { stdout } = await run(shiplog, ["-a", daemon.address, "-n", namespace, "--json", "events"]);
    return stdout
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Published)
      .filter(({ type, data }) => type === "EventPublished" && data.topic === "/tasks/log-loss")
      .map(({ data }) => LogLoss.decode(Buffer.from(data.event!.value, "base64")));
  };
  const recorded = await eventually("the loss is on record", async () => {
    const all = await losses();
    return all.length > 0 ? all : undefined;
  });
  assert.ok(kept < 1000, `${kept} lines kept`);
  assert.equal(
    recorded.reduce((sum, { lines }) => sum + lines, 0n),
    BigInt(1000 - kept),
  );
  for (const { containerId, execId, reason } of recorded)
    assert.deepEqual([containerId, execId, reason], ["one", "", "the file cannot be written: ENOSPC"]);
});
