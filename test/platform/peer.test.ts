import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { peerOf } from "../../src/platform/mod.ts";

test("peerOf names the process at the other end, and refuses a closed socket", async () => {
  const directory = mkdtempSync(join(tmpdir(), "shiplog-peer-"));
  const server = createServer().listen(join(directory, "s"));
  try {
    await once(server, "listening");
    const client = connect(join(directory, "s"));
    const [accepted] = (await once(server, "connection")) as [Socket];
    assert.deepEqual(peerOf(accepted), { pid: process.pid, uid: process.getuid!(), gid: process.getgid!() });
    client.destroy();
    accepted.destroy();
    assert.throws(() => peerOf(accepted), /closed/);
  } finally {
    server.close();
    rmSync(directory, { recursive: true });
  }
});
