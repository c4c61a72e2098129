import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { closeServed, isServed, listenUnlessServed } from "../../../src/shim/program/claim.ts";
import { TtrpcServer } from "../../../src/shim/ttrpc/mod.ts";
import { temporaryDirectory } from "../../harness/temporary.ts";

test("of many shims that start at once one listens and the others find it", async (t) => {
  const directory = await temporaryDirectory(t);
  const address = `unix://${directory}/s/one`;
  const servers = Array.from({ length: 8 }, () => new TtrpcServer());
  const outcomes = await Promise.all(servers.map((server) => listenUnlessServed(server, address)));
  assert.deepEqual(outcomes.toSorted(), ["listening", ...Array(7).fill("served")]);
  assert.equal((await stat(`${directory}/s`)).mode & 0o777, 0o700);
  assert.equal((await stat(`${directory}/s/one`)).mode & 0o777, 0o600);
  await closeServed(servers[outcomes.indexOf("listening")]!, address);
  await assert.rejects(stat(`${directory}/s/one`), { code: "ENOENT" });
});

/** A process that listens at the path until it is killed. */
async function listener(path: string) {
  const script = `require("net").createServer().listen(${JSON.stringify(path)}, () => console.log("listens"))`;
  const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  return child;
}

test("a socket whose shim is gone is replaced", async (t) => {
  const directory = await temporaryDirectory(t);
  await mkdir(join(directory, "s"), { mode: 0o700 });
  const path = join(directory, "s", "one");
  const child = await listener(path);
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
  await stat(path);
  assert.equal(await isServed(`unix://${path}`), false);
  const servers = Array.from({ length: 4 }, () => new TtrpcServer());
  const outcomes = await Promise.all(servers.map((server) => listenUnlessServed(server, `unix://${path}`)));
  assert.deepEqual(outcomes.toSorted(), ["listening", "served", "served", "served"]);
  await closeServed(servers[outcomes.indexOf("listening")]!, `unix://${path}`);
});

test("a shim that lives is not replaced though it does not answer", async (t) => {
  const directory = await temporaryDirectory(t);
  await mkdir(join(directory, "s"), { mode: 0o700 });
  const path = join(directory, "s", "one");
  const child = await listener(path);
  const ended = once(child, "exit");
  try {
    child.kill("SIGSTOP");
    const { ino } = await stat(path);
    assert.equal(await listenUnlessServed(new TtrpcServer(), `unix://${path}`), "served");
    assert.equal((await stat(path)).ino, ino);
  } finally {
    child.kill("SIGKILL");
    await ended;
  }
});

test("a socket directory that others can write in is not used", async (t) => {
  const directory = await temporaryDirectory(t);
  await mkdir(join(directory, "s"));
  await chmod(join(directory, "s"), 0o777);
  await assert.rejects(listenUnlessServed(new TtrpcServer(), `unix://${directory}/s/one`), /others than its owner/);
});
