/** dockerd on shiplogd: what `docker` shows is what happened, its events agree with the log, and containers outlive a killed shiplogd. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { unpack } from "msgpackr";
import { connect } from "../../src/cli/client.ts";
import { log } from "../../src/wire/mod.ts";
import { shiplogd, type TestDaemon } from "../harness/daemons.ts";
import { eventually } from "../harness/eventually.ts";
import { mountsBelow, shimsOf } from "../harness/traces.ts";
import { Docker, type DockerEvent } from "./dockerd.ts";

const image = "busybox:test";
const applets = ["sh", "echo", "sleep", "cat", "true", "dd", "tty"];
/** Ends with 5 on SIGTERM. */
const patient = ["sh", "-c", "trap 'exit 5' TERM; echo started; while true; do sleep 0.05; done"];
const apart = ["--network", "none"];

test("docker runs, execs, stops, restarts and removes containers on shiplogd", async (t) => {
  const { docker, daemon, directory, events } = await dockerOnShiplog(t);
  const says = async (args: readonly string[], code: number, stdout: string | RegExp) => {
    const result = await docker.run(...args);
    assert.equal(result.code, code, `docker ${args.join(" ")}: ${result.stderr}`);
    if (typeof stdout === "string") assert.equal(result.stdout, stdout);
    else assert.match(result.stdout, stdout);
    return result;
  };

  await says(["run", "--rm", ...apart, image, "echo", "hello"], 0, "hello\n");
  const three = await says(["run", "--rm", ...apart, image, "sh", "-c", "echo out; echo err >&2; exit 3"], 3, "out\n");
  assert.equal(three.stderr, "err\n");
  await says(["run", "--rm", "-i", ...apart, image, "cat"], 0, "from stdin\n");
  await says(["run", "--rm", ...apart, image, "/tmp"], 126, "");
  await says(["run", "--rm", ...apart, image, "/nothing-there"], 127, "");

  await says(["run", "-d", "--name", "long", ...apart, image, ...patient], 0, /^[0-9a-f]{64}\n$/);
  await eventually("docker logs shows the first line", async () =>
    (await docker.run("logs", "long")).stdout === "started\n" ? true : undefined,
  );
  await says(["exec", "long", "echo", "in it"], 0, "in it\n");
  await says(["exec", "long", "sh", "-c", "exit 9"], 9, "");
  await says(["exec", "long", "/nothing-there"], 126, /no such file or directory/);
  await says(["exec", "-i", "long", "cat"], 0, "from stdin\n");
  await says(["exec", "-t", "long", "tty"], 0, "/dev/pts/0\r\n");
  await says(["top", "long"], 0, /trap 'exit 5' TERM/);
  await says(["stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}", "long"], 0, /^long [12]\n$/);
  await says(["update", "--pids-limit", "77", "long"], 0, "long\n");
  const { stdout: pid } = await docker.run("inspect", "-f", "{{.State.Pid}}", "long");
  assert.equal(await pidsMax(Number(pid)), "77");
  await says(["pause", "long"], 0, "long\n");
  await says(["inspect", "-f", state, "long"], 0, "paused 0 false\n");
  await says(["unpause", "long"], 0, "long\n");
  await says(["stop", "long"], 0, "long\n");
  await says(["inspect", "-f", state, "long"], 0, "exited 5 false\n");
  await says(["start", "long"], 0, "long\n");
  await says(["restart", "-t", "10", "long"], 0, "long\n");
  await says(["inspect", "-f", state, "long"], 0, "running 0 false\n");
  await says(["kill", "long"], 0, "long\n");
  await says(["inspect", "-f", state, "long"], 0, "exited 137 false\n");
  await says(["rm", "long"], 0, "long\n");
  await says(["inspect", "long"], 1, /^\[?\]?\s*$/);

  const hungry = ["dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"];
  await says(
    ["run", "--name", "hungry", "--memory", "16m", "--memory-swap", "16m", ...apart, image, ...hungry],
    137,
    "",
  );
  // dockerd learns of the OOM by an event of its own, which the shim may send after that of the exit.
  await eventually("docker knows of the OOM", async () =>
    (await docker.run("inspect", "-f", state, "hungry")).stdout === "exited 137 true\n" ? true : undefined,
  );
  await says(
    ["run", "-d", "--name", "again", "--restart", "on-failure:2", ...apart, image, "sh", "-c", "exit 4"],
    0,
    /./,
  );
  await eventually("docker restarts it twice", async () => {
    const { stdout } = await docker.run("inspect", "-f", `${state} {{.RestartCount}}`, "again");
    return stdout === "exited 4 false 2\n" ? true : undefined;
  });
  await says(["rm", "hungry", "again"], 0, "hungry\nagain\n");

  await agree(daemon, events);
  assert.deepEqual(await shimsOf(daemon.address), [], "no shim is left");
  assert.deepEqual(
    (await mountsBelow(directory)).filter((point) => point.includes("/overlay2/")),
    [],
    "no root is left mounted",
  );
});

test("docker's containers outlive a killed shiplogd, and an exit meanwhile is seen with its code", async (t) => {
  const { docker, daemon, events } = await dockerOnShiplog(t);
  const run = async (...args: readonly string[]) => {
    const { code, stdout, stderr } = await docker.run(...args);
    assert.equal(code, 0, stderr);
    return stdout.trim();
  };
  await run("run", "-d", "--name", "lives", ...apart, image, ...patient);
  await run(
    "run",
    "-d",
    "--name",
    "ends",
    ...apart,
    image,
    "sh",
    "-c",
    "while [ ! -e /tmp/end ]; do sleep 0.05; done; exit 6",
  );
  const [lives, ends] = [
    await run("inspect", "-f", "{{.State.Pid}}", "lives"),
    await run("inspect", "-f", "{{.State.Pid}}", "ends"),
  ];

  await daemon.end("SIGKILL");
  await writeFile(`/proc/${ends}/root/tmp/end`, "");
  await eventually("it ends while shiplogd is down", () => (isAlive(Number(ends)) ? undefined : true));
  await daemon.start();

  await eventually("docker sees the exit", async () =>
    (await run("inspect", "-f", state, "ends")) === "exited 6 false" ? true : undefined,
  );
  assert.equal(await run("inspect", "-f", "{{.State.Status}} {{.State.Pid}}", "lives"), `running ${lives}`);
  assert.equal(await run("exec", "lives", "echo", "alive"), "alive");
  await run("stop", "lives");
  assert.equal(await run("inspect", "-f", state, "lives"), "exited 5 false");
  await run("rm", "lives", "ends");
  await agree(daemon, events);
});

const state = "{{.State.Status}} {{.State.ExitCode}} {{.State.OOMKilled}}";

async function dockerOnShiplog(t: TestContext) {
  const directory = await mkdtemp(join(tmpdir(), "shiplog-test-"));
  const daemon = await shiplogd(["--log-level", "warn"]);
  const docker = new Docker(directory, daemon.address);
  const listening = new AbortController();
  // In one piece, for the order matters: dockerd needs its sockets and shiplogd to remove what still runs.
  t.after(async () => {
    listening.abort();
    await docker.dispose();
    await daemon.dispose();
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  });
  await daemon.start();
  await docker.start();
  const { code, stderr } = await docker.run("import", await rootArchive(directory), image);
  assert.equal(code, 0, stderr);
  return { docker, daemon, directory, events: docker.events(listening.signal) };
}

/** The tar of a root filesystem with busybox. */
async function rootArchive(directory: string): Promise<string> {
  const root = join(directory, "rootfs");
  await mkdir(join(root, "bin"), { recursive: true });
  await mkdir(join(root, "tmp"));
  await copyFile("/bin/busybox", join(root, "bin", "busybox"));
  for (const applet of applets) await symlink("busybox", join(root, "bin", applet));
  await promisify(execFile)("tar", ["-C", root, "-cf", `${root}.tar`, "."]);
  return `${root}.tar`;
}

/** The limit that a process runs under. */
async function pidsMax(pid: number): Promise<string> {
  const groups = (await readFile(`/proc/${pid}/cgroup`, "utf8")).split("\n");
  const [root, group] = [groups.find((line) => line.includes(":pids:")), groups[0]!];
  const [hierarchy, line] = root === undefined ? ["/sys/fs/cgroup", group] : ["/sys/fs/cgroup/pids", root];
  return (await readFile(`${hierarchy}${line.split(":")[2]}/pids.max`, "utf8")).trim();
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** docker's event of a fact; those that start a process are docker's before it asks. */
const actions: Readonly<Record<string, string>> = {
  TaskUpdated: "update",
  TaskStarted: "start",
  TaskExited: "die",
  TaskOomed: "oom",
  TaskPaused: "pause",
  TaskResumed: "unpause",
  ExecStarting: "exec_start",
  ExecExited: "exec_die",
};

/** docker's events say of each container what the log says of it, in the same order and with the same codes. */
async function agree(daemon: TestDaemon, events: readonly DockerEvent[]): Promise<void> {
  const logged = await fromLog(daemon);
  assert.ok(logged.size > 0);
  for (const [id, expected] of logged) {
    const seen = () => fromDocker(events.filter((event) => event.Type === "container" && event.Actor.ID === id));
    await eventually(`docker events has all of ${id}`, () => (seen().length >= expected.length ? true : undefined));
    assert.deepEqual(seen(), expected, `events of ${id}`);
  }
}

async function fromLog({ address }: TestDaemon): Promise<ReadonlyMap<string, readonly string[]>> {
  const told = new Map<string, string[]>();
  const connection = connect(address);
  try {
    for await (const { facts } of connection.service(log.LogDefinition).read({ fromPosition: 0n })) {
      for (const { namespace, stream, type, data } of facts) {
        const action = actions[type];
        if (namespace !== "moby" || action === undefined) continue;
        const id = stream.slice("task/".length);
        const { status, execId } = unpack(data) as { readonly status?: number; readonly execId?: string };
        told.set(id, [...(told.get(id) ?? []), line(action, status, execId)]);
      }
    }
  } finally {
    connection.close();
  }
  return told;
}

function fromDocker(events: readonly DockerEvent[]): readonly string[] {
  const known = new Set(Object.values(actions));
  return events.flatMap(({ Action, Actor: { Attributes } }) => {
    const action = Action.split(":")[0]!;
    const { exitCode, execID } = Attributes;
    return known.has(action) ? [line(action, exitCode === undefined ? undefined : Number(exitCode), execID)] : [];
  });
}

const line = (action: string, status = 0, execId = ""): string => `${action} ${status} ${execId}`.trim();
