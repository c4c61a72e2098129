import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { constants, openSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { closeDescriptor, listenForDescriptor, setWindowSize, windowSize } from "../../src/platform/mod.ts";
import { temporaryDirectory } from "../harness/temporary.ts";

/** Sends descriptors as an OCI runtime does: with the name as data. */
const sender = `
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
kind, count = sys.argv[2], int(sys.argv[3])
fds = [os.open(kind, os.O_RDWR | os.O_NOCTTY) for _ in range(count)]
socket.send_fds(s, [kind.encode()], fds) if fds else s.send(b"nothing")
`;

async function send(path: string, file: string, count: number): Promise<void> {
  const child = spawn("python3", ["-c", sender, path, file, String(count)], { stdio: ["ignore", "ignore", "inherit"] });
  const [code] = await once(child, "exit");
  assert.equal(code, 0);
}

test("a descriptor socket receives the master of a terminal, whose size can be set", async (t) => {
  const path = join(await temporaryDirectory(t), "socket");
  const socket = listenForDescriptor(path);
  await send(path, "/dev/ptmx", 1);
  const master = await socket.received;
  setWindowSize(master, 101, 33);
  assert.deepEqual(windowSize(master), { width: 101, height: 33 });
  closeDescriptor(master);
  socket.close();
});

test("a descriptor socket refuses a message without a descriptor, and one with several", async (t) => {
  const directory = await temporaryDirectory(t);
  const none = listenForDescriptor(join(directory, "none"));
  await send(join(directory, "none"), "/dev/null", 0);
  await assert.rejects(none.received, /none came/);
  for (const count of [2, 3]) {
    const several = listenForDescriptor(join(directory, `several-${count}`));
    const before = nextDescriptor();
    await send(join(directory, `several-${count}`), "/dev/null", count);
    await assert.rejects(several.received, /more than one came/);
    assert.ok(nextDescriptor() <= before, "a descriptor was left open");
  }
});

/** The lowest descriptor that is free. */
function nextDescriptor(): number {
  const descriptor = openSync("/dev/null", constants.O_RDONLY);
  closeDescriptor(descriptor);
  return descriptor;
}

test("a descriptor socket that is closed rejects, and a path too long for one is refused", async (t) => {
  const directory = await temporaryDirectory(t);
  const socket = listenForDescriptor(join(directory, "closed"));
  socket.close();
  socket.close();
  await assert.rejects(socket.received, /closed before one came/);
  assert.throws(() => listenForDescriptor(join(directory, "x".repeat(120))), RangeError);
  assert.throws(() => listenForDescriptor(join(directory, "closed")), { code: "EADDRINUSE" });
});

test("setting the size of what is no terminal fails", () => {
  const descriptor = openSync("/dev/null", constants.O_RDONLY);
  assert.throws(() => setWindowSize(descriptor, 80, 24), { code: "ENOTTY", syscall: "ioctl" });
  closeDescriptor(descriptor);
});
