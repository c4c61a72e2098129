import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { socketPathOfAddress } from "../../../src/shim/ttrpc/mod.ts";
import { within } from "../../harness/eventually.ts";
import { Workshop } from "./workshop.ts";

const forgetful = fileURLToPath(new URL("forgetful-shim.ts", import.meta.url));

test("a shim whose container was deleted past its daemon ends by itself, and not before", {
  timeout: 60_000,
}, async (t) => {
  const workshop = await Workshop.open(t);
  const { namespace, address: daemon, ttrpcAddress } = workshop;
  const bundle = await workshop.bundle("one", ["/bin/sleep", "1000"]);
  const child = spawn(process.execPath, [forgetful, namespace, "one", bundle, daemon, ttrpcAddress], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(() => child.kill("SIGKILL"));
  const ended = once(child, "exit");
  const [line] = await within("it listens", 20_000, once(child.stdout, "data"));
  const address = String(line).trim();
  await workshop.runContainer(address, "one");
  // Longer than it waits for a container: it has one.
  await delay(1_500);
  await workshop.call(address, "kill", { id: "one", execId: "", signal: 9, all: false });
  await workshop.call(address, "wait", { id: "one", execId: "" });
  await workshop.call(address, "delete", { id: "one", execId: "" });
  const [code] = await within("it ends", 20_000, ended);
  assert.equal(code, 0);
  await assert.rejects(stat(socketPathOfAddress(address)), { code: "ENOENT" });
  assert.deepEqual(await workshop.shims(), []);
  assert.ok((await stat(join(bundle, "address"))).isFile(), "the bundle is the daemon's to remove");
});
