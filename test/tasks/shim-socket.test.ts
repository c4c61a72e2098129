/** Sockets of shims that were killed: none is left, and none is removed that a shim listens at. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { addressOfShim } from "../../src/shim/program/address.ts";
import { socketPathOfAddress } from "../../src/shim/ttrpc/mod.ts";
import { TaskDaemon } from "./task-daemon.ts";
import { ownShim } from "./workshop.ts";

let daemon: TaskDaemon;
before(async () => {
  daemon = await TaskDaemon.open({ ownShim: async (base) => neverStarting(base) });
});
after(() => daemon.remove());

/** Our shim by another path; while the file `broken` is there it ends before it has told anybody of itself. */
async function neverStarting(base: string): Promise<string> {
  const path = join(base, "shim");
  const ends = `case "$*" in *start) [ ! -e '${base}/broken' ] || exit 1 ;; esac`;
  await writeFile(path, `#!/bin/sh\n${ends}\nexec '${ownShim}' "$@"\n`);
  await chmod(path, 0o755);
  return path;
}

const socketOf = (group: string) =>
  socketPathOfAddress(addressOfShim(daemon.workshop.address, daemon.namespace, group));

test("a shim that was killed before it had told its address leaves no socket", async () => {
  const path = socketOf("early");
  const listen = "require('node:net').createServer().listen(process.argv[1], () => console.log('listens'))";
  const child = spawn(process.execPath, ["-e", listen, path], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  child.kill("SIGKILL");
  await once(child, "exit");
  assert.ok(existsSync(path));
  await writeFile(join(daemon.workshop.base, "broken"), "");
  await daemon.container("early", ["true"]);
  await assert.rejects(daemon.create("early"), { class: "Unknown", message: /failed to start shim/ });
  assert.ok(!existsSync(path));
});

test("a create that fails leaves the socket of its group to a shim that listens there", async () => {
  const path = socketOf("pod");
  const server = createServer((socket) => socket.destroy()).listen(path);
  await once(server, "listening");
  try {
    await writeFile(join(daemon.workshop.base, "broken"), "");
    await daemon.container("member", ["true"], { annotations: { "io.kubernetes.cri.sandbox-id": "pod" } });
    await assert.rejects(daemon.create("member"), { class: "Unknown", message: /failed to start shim/ });
    assert.ok(existsSync(path));
  } finally {
    server.close();
  }
});
