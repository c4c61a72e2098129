import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readlinkSync } from "node:fs";
import { test } from "node:test";
import { closeDescriptor, pidfdOpen, processStartTime } from "../../src/platform/mod.ts";
import { startTimeOf } from "../../src/platform/process.ts";

test("startTimeOf is not misled by a command name with brackets and spaces", () => {
  const rest = ["S", ...Array.from({ length: 18 }, (_, index) => String(index)), "4711", "0", "0"];
  assert.equal(startTimeOf(`12 (a) b) 99) ${rest.join(" ")}\n`), 4711);
});

test("a process keeps its start time, a later one has a later one, and a dead one has none", async () => {
  const child = spawn("sleep", ["60"]);
  await once(child, "spawn");
  const pid = child.pid!;
  const started = processStartTime(pid);
  assert.ok(started !== undefined && started >= processStartTime(process.pid)!);
  assert.equal(processStartTime(pid), started);
  const pidfd = pidfdOpen(pid);
  assert.match(readlinkSync(`/proc/self/fd/${pidfd}`), /pidfd/);
  closeDescriptor(pidfd);
  child.kill();
  await once(child, "exit");
  assert.equal(processStartTime(pid), undefined);
  assert.throws(() => pidfdOpen(pid), { code: "ESRCH", syscall: "pidfd_open" });
});
