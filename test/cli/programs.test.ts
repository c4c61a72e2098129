/** The programs as users run them, against a real daemon on a root of its own. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { connect, type Connection } from "../../src/cli/client.ts";
import { ContainersDefinition } from "../../src/wire/gen/containerd/services/containers/v1/containers.ts";
import { shiplogd, type TestDaemon } from "../harness/daemons.ts";

const bin = fileURLToPath(new URL("../../bin", import.meta.url));

interface Result {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(program: "shiplog" | "shiplogd", args: readonly string[], env: Record<string, string> = {}): Promise<Result> {
  return new Promise((resolve) => {
    const options = { env: { PATH: process.env.PATH!, TZ: "UTC", ...env }, timeout: 60_000 };
    execFile(join(bin, program), args, options, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : typeof error.code === "number" ? error.code : -1, stdout, stderr });
    });
  });
}

/** A request for a container that is never run. */
function record(id: string) {
  const spec = { typeUrl: "types.containerd.io/opencontainers/runtime-spec/1/Spec", value: Buffer.from("{}") };
  return { container: { id, image: "busybox", runtime: { name: "io.containerd.runc.v2" }, spec } };
}

describe("shiplog", () => {
  let daemon: TestDaemon;
  let connection: Connection;
  /** Runs `shiplog` in namespace `cli` of the daemon. */
  const shiplog = (...args: string[]) => run("shiplog", args, { CONTAINERD_ADDRESS: daemon.address, CONTAINERD_NAMESPACE: "cli" });

  before(async () => {
    daemon = await shiplogd();
    await daemon.start();
    connection = connect(daemon.address);
    const containers = connection.service(ContainersDefinition, { namespace: "cli" });
    for (const id of ["web", "gone"]) await containers.create(record(id));
    await containers.delete({ id: "gone" });
  });

  after(async () => {
    connection.close();
    await daemon.dispose();
  });

  it("prints every fact in order, in every namespace", async () => {
    const { status, stdout } = await shiplog("events");
    assert.equal(status, 0);
    const [heading, ...lines] = stdout.trimEnd().split("\n");
    assert.match(heading!, /^ +POS +TIME +NAMESPACE +STREAM +FACT$/);
    assert.deepEqual(
      lines.map((line) => line.split(/ {2,}/).slice(1, 6).filter((_, index) => index !== 1)),
      [
        ["0", "cli", "namespace/cli", "NamespaceCreated"],
        ["1", "cli", "container/web", "ContainerCreated"],
        ["2", "cli", "container/gone", "ContainerCreated"],
        ["3", "cli", "container/gone", "ContainerDeleted"],
      ],
    );
  });

  it("prints facts from a position on, one JSON object a line, and only of the namespace that a flag names", async () => {
    const { stdout } = await shiplog("events", "--json", "--from", "2");
    assert.deepEqual(stdout.trimEnd().split("\n").map((line) => JSON.parse(line).position), [2, 3]);
    assert.equal((await shiplog("events", "--json", "--namespace", "other")).stdout, "");
  });

  it("knows who did what to an entity that is gone", async () => {
    const { status, stdout } = await shiplog("history", "container/gone");
    assert.equal(status, 0);
    assert.match(stdout, new RegExp(`^uid ${process.getuid!()} gid ${process.getgid!()} pid ${process.pid}, request [0-9a-f]+$`, "m"));
    assert.match(stdout, /^ +2 .* ContainerCreated +image busybox/m);
    assert.match(stdout, /^ +3 .* ContainerDeleted$/m);
  });

  it("prints what there was at a position and at a time", async () => {
    const before = await shiplog("state", "--at", "3", "container");
    assert.deepEqual(before.stdout.match(/^container +\w+/gm)?.map((row) => row.split(/ +/)[1]), ["gone", "web"]);
    const now = await shiplog("state", "--json", "--at", new Date(Date.now() + 1000).toISOString(), "container");
    assert.deepEqual(now.stdout.trimEnd().split("\n").map((line) => JSON.parse(line).key), ["web"]);
  });

  it("lists what there is below a path", async () => {
    const all = await shiplog("ls");
    assert.deepEqual([all.status, all.stdout], [0, "/cli/containers/web\n/cli/namespaces/cli\n"]);
    assert.equal((await shiplog("ls", "containers")).stdout, "/cli/containers/web\n");
    assert.equal((await shiplog("ls", "/cli/containers/w*")).stdout, "/cli/containers/web\n");
    assert.match((await shiplog("ls", "-l", "containers/web")).stdout, /^ +0 +1 +\S+ +\/cli\/containers\/web +busybox · io/);
    const [row] = (await shiplog("ls", "--json", "-n", "cli")).stdout.split("\n").map((line) => JSON.parse(line || "null"));
    assert.deepEqual([row.path, row.version, row.position, row.value.image], ["/cli/containers/web", 0, 1, "busybox"]);
  });

  it("explains where an entity is in its chart, also one that is gone", async () => {
    const { status, stdout } = await shiplog("explain", "container/gone");
    assert.equal(status, 0);
    assert.match(stdout, /^container\/gone in namespace cli is absent since position 3, /);
    assert.match(stdout, /^ +2 +\S+ +ContainerCreated +absent → present/m);
    assert.match(stdout, /^ +→ present +CreateContainer$/m);
    const explained = JSON.parse((await shiplog("explain", "--json", "container/web")).stdout);
    assert.deepEqual([explained.status, explained.path.length], ["present", 1]);
  });

  it("verifies and rebuilds", async () => {
    const verified = await shiplog("verify");
    assert.equal(verified.status, 0);
    assert.match(verified.stdout, /^4 facts in 1 segment, \d+ rows: all agree$/m);
    const rebuilt = await shiplog("rebuild", "--json");
    assert.equal(rebuilt.status, 0);
    assert.equal(JSON.parse(rebuilt.stdout).identical, true);
  });

  it("ends with status 1 when the answer is a problem", async () => {
    const unknown = await shiplog("history", "container/never");
    assert.deepEqual([unknown.status, unknown.stdout], [1, ""]);
    assert.equal(unknown.stderr, "shiplog: the log knows nothing of container/never in namespace cli\n");
    const nothing = await shiplog("ls", "/cli/pods");
    assert.deepEqual([nothing.status, nothing.stdout, nothing.stderr], [1, "", "shiplog: there is nothing at or below /cli/pods\n"]);
    const ahead = await shiplog("state", "--at", "1000");
    assert.equal(ahead.status, 1);
    assert.match(ahead.stderr, /^shiplog: state at position 1000: the log ends at position 4/);
  });
});

describe("shiplog without a daemon", () => {
  it("ends with status 1 and names the socket", async () => {
    const { status, stderr } = await run("shiplog", ["events", "--address", "/nowhere/shiplog.sock"]);
    assert.equal(status, 1);
    assert.equal(stderr, "shiplog: cannot reach shiplogd at /nowhere/shiplog.sock: connect ENOENT /nowhere/shiplog.sock\n");
  });

  it("ends with status 1 when it is to verify a folder that is no root", async () => {
    const { status, stderr } = await run("shiplog", ["verify", "--root", bin]);
    assert.deepEqual([status, stderr], [1, `shiplog: ${bin} is no root: it has no log\n`]);
  });

  it("ends with status 2 when the command line is not understood", async () => {
    for (const [args, message] of [
      [[], /say which command/],
      [["evnts"], /there is no command "evnts"; commands are events, history, explain, ls, state, verify, rebuild/],
      [["events", "--form", "1"], /Unknown option '--form'/],
      [["events", "--from", "first"], /--from takes a position \(a number from 0\), not "first"/],
      [["history", "web"], /"web" is not of the form KIND\/ID/],
      [["history", "pod/web"], /there is no kind "pod"/],
      [["history"], /history takes one KIND\/ID or more/],
      [["state"], /state takes --at/],
      [["state", "--at", "yesterday"], /--at takes a position or an RFC 3339 time/],
      [["charts", "door"], /there is no chart "door"; charts are namespace, container, /],
      [["charts", "--format", "svg"], /--format svg draws one chart: say which/],
      [["charts", "--format", "png"], /--format is mermaid, xstate, svg, not "png"/],
      [["explain"], /explain takes a KIND\/ID/],
      [["explain", "web"], /"web" is not of the form KIND\/ID/],
      [["ls", "/a", "/b"], /ls takes one PREFIX at most/],
      [["verify", "now"], /verify takes no operand/],
    ] as const) {
      const { status, stdout, stderr } = await run("shiplog", args);
      assert.deepEqual([status, stdout], [2, ""], args.join(" "));
      assert.match(stderr, message);
    }
  });

  it("prints charts without asking a daemon", async () => {
    const mermaid = await run("shiplog", ["charts", "image"]);
    assert.deepEqual([mermaid.status, mermaid.stdout.split("\n")[0]], [0, "stateDiagram-v2"]);
    const all = JSON.parse((await run("shiplog", ["charts", "--format", "xstate"])).stdout);
    assert.equal(all.task.states.running.on.RecordPaused, "paused");
    assert.match((await run("shiplog", ["charts", "task", "--format", "svg"])).stdout, /^<svg [^>]*>[\s\S]*<\/svg>\n$/);
  });

  it("explains itself and each command", async () => {
    for (const args of [["--help"], ["events", "--help"], ["verify", "-h"]]) {
      const { status, stdout } = await run("shiplog", args);
      assert.equal(status, 0);
      assert.match(stdout, /Usage: shiplog /);
    }
  });
});

describe("shiplogd", () => {
  it("ends with status 2 when it does not understand its settings", async () => {
    const { status, stderr } = await run("shiplogd", ["--log-level", "loud"]);
    assert.equal(status, 2);
    assert.match(stderr, /^shiplogd: the log level must be one of/);
  });

  it("refuses a root that another one has open, and leaves that one alone", async () => {
    const daemon = await shiplogd();
    try {
      await daemon.start();
      const { root, directory } = daemon.paths;
      const args = ["--root", root, "--state", join(directory, "other"), "--address", join(directory, "other.sock")];
      const { status, stderr } = await run("shiplogd", args);
      assert.equal(status, 1);
      assert.match(stderr, /could not start/);
      assert.equal((await run("shiplog", ["verify"], { CONTAINERD_ADDRESS: daemon.address })).status, 0);
    } finally {
      await daemon.dispose();
    }
  });

  it("leaves a root that verifies without it when it is asked to stop", async () => {
    const daemon = await shiplogd();
    try {
      await daemon.start();
      await daemon.end("SIGTERM");
      assert.match(await daemon.log(), /"msg":"ready"[\s\S]*"msg":"stopped"/);
      const { status, stdout } = await run("shiplog", ["verify", "--root", daemon.paths.root]);
      assert.match(stdout, /: all agree$/m);
      assert.equal(status, 0);
    } finally {
      await daemon.dispose();
    }
  });

  it("leaves a log in which a changed byte is found and named", async () => {
    const daemon = await shiplogd();
    try {
      await daemon.start();
      const connection = connect(daemon.address);
      const containers = connection.service(ContainersDefinition, { namespace: "cli" });
      for (const id of ["first", "second", "third"]) await containers.create(record(id));
      connection.close();
      await daemon.end("SIGTERM");

      const segment = join(daemon.paths.root, "log", `${"0".repeat(20)}.log`);
      const handle = await open(segment, "r+");
      const offset = (await handle.readFile()).indexOf("container/second");
      await handle.write("C", offset);
      await handle.close();

      const { status, stdout } = await run("shiplog", ["verify", "--root", daemon.paths.root]);
      assert.equal(status, 1);
      assert.match(stdout, /^log: .*0{20}\.log/m);
      assert.match(stdout, /: 1 problem$/m);
    } finally {
      await daemon.dispose();
    }
  });
});
