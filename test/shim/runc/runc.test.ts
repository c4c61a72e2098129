import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { runCommand } from "../../../src/shim/runc/command.ts";
import { endRuntimesOf, Runc } from "../../../src/shim/runc/mod.ts";
import { processStartTime } from "../../../src/platform/mod.ts";
import { eventually } from "../../harness/eventually.ts";
import { temporaryDirectory } from "../../harness/temporary.ts";

/** A runtime that does what the script says; `$LOG` is the path of its log. */
async function runtime(t: TestContext, script: string) {
  const bundle = await temporaryDirectory(t);
  const binary = join(bundle, "runtime");
  await writeFile(binary, `#!/bin/sh\nLOG=$4\n${script}\n`, { mode: 0o755 });
  const choice = { binary, root: "/root", systemdCgroup: false };
  return {
    bundle,
    binary,
    runc: new Runc(choice, bundle, "one", { noPivotRoot: false, noNewKeyring: false, criuPath: "" }),
  };
}

test("a failed command says the last error of its log", async (t) => {
  const { runc, bundle } = await runtime(
    t,
    `echo '{"level":"error","msg":"first"}' >> $LOG; echo '{"level":"error","msg":" second "}' >> $LOG; echo '{"level":"warning","msg":"third"}' >> $LOG; exit 1`,
  );
  await assert.rejects(runc.start(), { message: "OCI runtime start failed: second" });
  assert.deepEqual(await readdir(bundle), ["runtime"]);
});

test("a failed command without an error in its log says what it has said itself", async (t) => {
  const { runc, binary } = await runtime(t, "touch $LOG; echo out; echo error >&2; exit 3");
  const message = `OCI runtime pause failed: ${binary} did not terminate successfully: exit status 3: error\nout\n`;
  await assert.rejects(runc.pause(), { message });
});

test("a failed command is not given the errors of another that runs beside it", async (t) => {
  const { runc } = await runtime(
    t,
    `case "$*" in *start*) echo '{"level":"error","msg":"of start"}' >> $LOG;; *) sleep 0.2; echo '{"level":"error","msg":"of pause"}' >> $LOG;; esac; exit 1`,
  );
  const pausing = assert.rejects(runc.pause(), { message: "OCI runtime pause failed: of pause" });
  await assert.rejects(runc.start(), { message: "OCI runtime start failed: of start" });
  await pausing;
});

test("a runtime that is not there is told as containerd's shim tells it", async (t) => {
  const bundle = await temporaryDirectory(t);
  const make = (binary: string) =>
    new Runc({ binary, root: "/root", systemdCgroup: false }, bundle, "one", {
      noPivotRoot: false,
      noNewKeyring: false,
      criuPath: "",
    });
  await assert.rejects(make("no-such-runtime").start(), {
    message:
      /^OCI runtime start failed: unable to retrieve OCI runtime error \(open .*: no such file or directory\): exec: "no-such-runtime": executable file not found in \$PATH$/,
  });
  await assert.rejects(make("/no/such/runtime").start(), {
    message: /: fork\/exec \/no\/such\/runtime: no such file or directory$/,
  });
});

test("deleting what the runtime does not know is no error", async (t) => {
  const { runc } = await runtime(t, `echo '{"level":"error","msg":"container does not exist"}' >> $LOG; exit 1`);
  await runc.delete();
});

test("a command past its deadline is killed with all that it has started", async (t) => {
  const directory = await temporaryDirectory(t);
  const file = join(directory, "pids");
  const script = `trap '' TERM; sleep 1000 & echo $$ $! > ${file}; wait`;
  await assert.rejects(runCommand("sh", ["-c", script], 300), {
    name: "RuncFailed",
    message: "sh did not terminate successfully: no end in 300 ms",
  });
  const pids = (await readFile(file, "utf8")).trim().split(" ").map(Number);
  for (const pid of pids) await eventually(`${pid} is gone`, async () => (await isGone(pid)) || undefined);
});

async function isGone(pid: number): Promise<boolean> {
  if (processStartTime(pid) === undefined) return true;
  return /\) Z /.test(await readFile(`/proc/${pid}/stat`, "utf8").catch(() => ") Z "));
}

test("a command's answer does not wait for what it leaves running", { timeout: 10_000 }, async () => {
  assert.equal(await runCommand("sh", ["-c", "sleep 5 & echo $!"], 60_000).then((text) => Number(text) > 0), true);
});

/** A run of a runtime for the bundle whose shim is gone; it is no child of this process. */
function leftRunning(bundle: string): number {
  const command = `setsid ${bundle}/runtime --root /root --log ${bundle}/runtime-log-1-0.json create one > /dev/null 2>&1 & echo $!`;
  return Number(execFileSync("sh", ["-c", command], { encoding: "utf8" }));
}

test("what a dead shim left running for a bundle is ended, and nothing else", async (t) => {
  const [one, other] = [await runtime(t, "sleep 1000"), await runtime(t, "sleep 1000")];
  const [mine, others] = [leftRunning(one.bundle), leftRunning(other.bundle)];
  t.after(() => process.kill(-others, "SIGKILL"));
  for (const pid of [mine, others]) {
    await eventually(
      "it runs",
      async () => (await readFile(`/proc/${pid}/cmdline`, "utf8")).startsWith("/bin/sh") || undefined,
    );
  }
  await endRuntimesOf(one.bundle);
  assert.ok(await isGone(mine));
  assert.ok(!(await isGone(others)));
});
