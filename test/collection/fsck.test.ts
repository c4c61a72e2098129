/** What a check finds on the machine of a real daemon, and what it leaves after a repair. */
import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { access, copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { mount } from "../../src/platform/mod.ts";
import { shiplogd, type TestDaemon } from "../harness/daemons.ts";
import { removeRuncTraces } from "../harness/runc-traces.ts";
import { Client } from "./remains.ts";

const program = join(fileURLToPath(new URL("../../bin", import.meta.url)), "shiplog");
const run = promisify(execFile);
const namespace = "fsck-test";

interface Found {
  readonly kind: string;
  readonly place: string;
  readonly message: string;
  readonly facts: readonly { readonly position: number; readonly type: string }[];
  readonly repair?: string;
}

describe("a check", () => {
  let daemon: TestDaemon;
  let client: Client;
  let shim: ChildProcess | undefined;

  before(async () => {
    daemon = await shiplogd();
    await daemon.start();
    client = new Client(daemon.address, namespace);
  });

  after(async () => {
    client.close();
    shim?.kill("SIGKILL");
    for (const [id, root] of Object.entries(roots()))
      await run("runc", ["--root", join(root, namespace), "delete", "--force", id]).catch(() => {});
    await daemon.dispose();
    await removeRuncTraces(namespace);
  });

  /** Where runc keeps the states of the containers that this file makes. */
  const roots = () => ({ stray: "/run/containerd/runc", elsewhere: join(daemon.paths.directory, "runc") });
  const stateOf = (id: "stray" | "elsewhere") => join(roots()[id], namespace, id);

  const fsck = (...args: string[]): Promise<{ status: number; found: Found[] }> =>
    new Promise((resolve) => {
      const env = { PATH: process.env.PATH!, CONTAINERD_ADDRESS: daemon.address };
      execFile(program, ["fsck", "--json", ...args], { env, timeout: 60_000 }, (error, stdout) => {
        const status = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
        resolve({
          status,
          found: stdout
            .split("\n")
            .filter(Boolean)
            .map((line) => JSON.parse(line) as Found),
        });
      });
    });

  const snapshotDirectory = (id: string) =>
    join(daemon.paths.root, "io.containerd.snapshotter.v1.native", "snapshots", id);
  const bundle = (id: string) => join(daemon.paths.state, "io.containerd.runtime.v2.task", namespace, id);

  it("finds nothing where only what the tables know is there, and ends with status 0", async () => {
    await client.prepare("kept", "", { "containerd.io/gc.root": "1" });
    await client.blob("kept", { "containerd.io/gc.root": "1" });
    await client.upload("kept");
    assert.deepEqual(await fsck(), { status: 0, found: [] });
    const { stdout } = await run(program, ["fsck"], {
      env: { PATH: process.env.PATH!, CONTAINERD_ADDRESS: daemon.address },
    });
    assert.equal(stdout, "nothing is there that should not be, and nothing is missing\n");
  });

  it("names each orphan with the facts that made it, repairs what can be, and ends with status 1 as long as it finds something", async () => {
    // What a removal that a crash cut short leaves: the directory that the facts tell of.
    await client.prepare("gone", "", { "containerd.io/gc.root": "1" });
    const source = await client.directoryOf("gone");
    await client.removeSnapshot("gone");
    await mkdir(join(source, "work"), { recursive: true });
    // Content whose link has ended.
    const digest = await client.blob("gone", { "containerd.io/gc.root": "1" });
    await client.deleteBlob(digest);
    const blobFile = join(daemon.paths.root, "io.containerd.content.v1.content", "blobs", ...digest.split(":"));
    await writeFile(blobFile, "gone");
    // An upload, a directory and a temporary mount that the log knows nothing of.
    const ingest = join(
      daemon.paths.root,
      "io.containerd.content.v1.content",
      "ingest",
      createHash("sha256").update(`${namespace}/never`).digest("hex"),
    );
    await mkdir(ingest);
    await writeFile(join(ingest, "ref"), `${namespace}/never`);
    await mkdir(snapshotDirectory("00112233aabbccdd"));
    const temporary = join(daemon.paths.state, "mounts", "mount-left");
    await mkdir(temporary);
    mount({ type: "tmpfs", source: "tmpfs", options: [] }, temporary);
    // A payload that no record names.
    const attachment = join(daemon.paths.root, "attachments", "sha256", "0".repeat(64));
    await mkdir(dirname(attachment), { recursive: true });
    await writeFile(attachment, "gone");
    // Containers that runc holds in our bundles, without a task; of one the state is where a container's options have it.
    await client.container("of-options", "", {}, roots().elsewhere);
    const pids = [await holdByRunc("stray"), await holdByRunc("elsewhere")];
    // A process that calls itself a shim of this daemon, for a task that is not there.
    const args = ["-namespace", namespace, "-id", "lost", "-address", daemon.address];
    shim = spawn("sh", ["-c", "read line", "containerd-shim-runc-v2", ...args], {
      stdio: ["pipe", "ignore", "ignore"],
    });
    // And a snapshot whose directory is gone.
    await client.prepare("missing", "", { "containerd.io/gc.root": "1" });
    const missing = await client.directoryOf("missing");
    await rm(missing, { recursive: true });

    const { status, found } = await fsck();
    assert.equal(status, 1);
    const summary = found.map(({ kind, place, message, facts }) => [
      kind,
      place,
      message,
      facts.map(({ type }) => type).join(" "),
    ]);
    assert.deepEqual(summary.sort(), expected());
    assert.ok(found.every(({ repair }) => repair === undefined));

    const repaired = await fsck("--repair");
    assert.equal(repaired.status, 1);
    const outcomes = new Map(repaired.found.map(({ kind, place, repair }) => [`${kind} ${place}`, repair]));
    assert.equal(outcomes.get(`snapshot ${missing}`), "impossible");
    outcomes.delete(`snapshot ${missing}`);
    assert.deepEqual(new Set(outcomes.values()), new Set(["repaired"]), JSON.stringify(repaired.found, null, 1));
    for (const path of [
      source,
      blobFile,
      ingest,
      snapshotDirectory("00112233aabbccdd"),
      temporary,
      attachment,
      ...[bundle("stray"), bundle("elsewhere"), stateOf("stray"), stateOf("elsewhere")],
      ...pids.map((pid) => `/proc/${pid}/root`),
    ])
      await assert.rejects(access(path), { code: "ENOENT" }, path);
    if (shim.exitCode === null && shim.signalCode === null) await once(shim, "exit");
    assert.equal(shim.signalCode, "SIGKILL");

    assert.deepEqual(
      (await fsck()).found.map(({ place }) => place),
      [missing],
    );
    await client.removeSnapshot("missing");
    assert.deepEqual(await fsck(), { status: 0, found: [] });

    function expected(): string[][] {
      const lost = `(lost in namespace ${namespace})`;
      const stray = `(stray in namespace ${namespace})`;
      const elsewhere = `(elsewhere in namespace ${namespace})`;
      return [
        ["attachment", attachment, "a payload that no record of the log names", ""],
        ["bundle", bundle("elsewhere"), `a bundle of no task ${elsewhere}`, ""],
        ["runtime state", stateOf("elsewhere"), `runc's state of a container of no task ${elsewhere}`, ""],
        ["blob", blobFile, "content that no namespace links", "BlobCommitted BlobDeleted"],
        ["bundle", bundle("stray"), `a bundle of no task ${stray}`, ""],
        ["ingest", ingest, `the bytes of an upload that is not under way (never in namespace ${namespace})`, ""],
        ["mount", temporary, "a temporary mount that nothing uses", ""],
        ["runtime state", stateOf("stray"), `runc's state of a container of no task ${stray}`, ""],
        ["shim", String(shim!.pid), `a shim of no task ${lost}`, ""],
        ["snapshot", snapshotDirectory("00112233aabbccdd"), "a directory that no snapshot names", ""],
        ["snapshot", source, "a directory that no snapshot names", "SnapshotPrepared SnapshotRemoved"],
        [
          "snapshot",
          missing,
          `the directory of the active snapshot native/missing in namespace ${namespace} is missing`,
          "SnapshotPrepared",
        ],
      ].sort();
    }
  });

  /** Has runc create a container in a bundle of the daemon's; returns its pid. */
  async function holdByRunc(id: "stray" | "elsewhere"): Promise<number> {
    await mkdir(join(bundle(id), "rootfs", "bin"), { recursive: true });
    await copyFile("/bin/busybox", join(bundle(id), "rootfs", "bin", "sleep"));
    await run("runc", ["spec"], { cwd: bundle(id) });
    const config = join(bundle(id), "config.json");
    const spec = JSON.parse(await readFile(config, "utf8"));
    spec.process.terminal = false;
    spec.process.args = ["/bin/sleep", "600"];
    spec.linux.cgroupsPath = `/${namespace}/${id}`;
    await writeFile(config, JSON.stringify(spec));
    const root = join(roots()[id], namespace);
    const created = spawn("runc", ["--root", root, "create", "--bundle", bundle(id), id], { stdio: "ignore" });
    assert.deepEqual(await once(created, "exit"), [0, null]);
    return JSON.parse(await readFile(join(stateOf(id), "state.json"), "utf8")).init_process_pid as number;
  }

  it("finds nothing of what a killed daemon has left once the next one has started", async () => {
    const temporary = join(daemon.paths.state, "mounts", "mount-killed");
    await mkdir(temporary);
    mount({ type: "tmpfs", source: "tmpfs", options: [] }, temporary);
    await mkdir(snapshotDirectory("00112233aabbccdd"));
    await mkdir(join(bundle("killed"), "rootfs"), { recursive: true });
    await daemon.end("SIGKILL");
    await daemon.start();
    assert.deepEqual(await fsck(), { status: 0, found: [] });
    await assert.rejects(access(temporary), { code: "ENOENT" });
  });
});
