/** `ctr`'s checkpoints and restores on both daemons: with a runtime that takes them, and where CRIU is missing. */
import assert from "node:assert/strict";
import { access, readdir, symlink } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { ctr } from "../harness/ctr.ts";
import { containerd, shiplogdWithoutCollection, type TestDaemon } from "../harness/daemons.ts";
import { buildImage, imageName } from "../harness/image.ts";
import { removeRuncTraces } from "../harness/runc-traces.ts";
import { temporaryDirectory } from "../harness/temporary.ts";
import { normalize } from "./ctr/normalize.ts";

const namespace = `checkpoint-${process.pid}`;
const standIn = fileURLToPath(new URL("../harness/runc-with-checkpoints.sh", import.meta.url));

/** What each command came to on the daemon, which is ended then: runc keeps the containers of both in one place. */
async function outcomes(
  t: TestContext,
  daemon: TestDaemon,
  commands: (directory: string) => readonly (readonly string[])[],
  look = async () => {},
) {
  const { archive } = await buildImage(await temporaryDirectory(t));
  const { directory } = daemon.paths;
  const found: string[] = [];
  try {
    await daemon.start();
    for (const args of [["images", "import", archive], ...commands(directory)]) {
      const { code, stdout, stderr } = await ctr(daemon.address, namespace, args);
      const text = [args.join(" "), `status ${code}`, stdout, stderr].join("\n");
      found.push(normalize(text.replaceAll(archive, "ARCHIVE"), { daemon: directory, namespace, registry: "none" }));
    }
    await look();
  } finally {
    await daemon.dispose();
    await removeRuncTraces(namespace);
  }
  return found;
}

test("ctr checkpoints a task and restores it in the same words on shiplogd as on containerd", async (t) => {
  const run = ["run", "-d", "--null-io", "--runc-binary", standIn, imageName];
  const commands = (directory: string) => [
    [...run, "one", "sleep", "1000"],
    ["containers", "checkpoint", "--task", "--rw", "--image", "one", "example.test/one:1"],
    ["tasks", "ls"],
    ["images", "ls", "-q"],
    ["containers", "restore", "--rw", "--live", "two", "example.test/one:1"],
    ["containers", "ls"],
    ["tasks", "checkpoint", "--image-path", join(directory, "images"), "--work-path", join(directory, "work"), "one"],
    ["tasks", "checkpoint", "--exit", "--image-path", join(directory, "images"), "one"],
    ["tasks", "delete", "one"],
    ["tasks", "checkpoint", "one"],
    [...run, "three", "sleep", "2000"],
    ["tasks", "checkpoint", "three"],
    ["images", "ls", 'labels."containerd.io/checkpoint"==true'],
    ["containers", "restore", "one", "example.test/one:1"],
  ];
  const expected = await outcomes(t, await containerd(), commands);
  const actual = await outcomes(t, await shiplogdWithoutCollection(), commands);
  for (const [index, outcome] of expected.entries()) assert.equal(sameSizes(actual[index]!), sameSizes(outcome));
  assert.deepEqual(
    expected.filter((outcome) => !/\nstatus 0$/m.test(outcome)).map((outcome) => outcome.split("\n")[0]),
    ["tasks checkpoint one", "containers restore one example.test/one:1"],
  );
});

/** The images of a checkpoint are another archive on each daemon, which images and their digests tell of. */
const sameSizes = (text: string) =>
  text.replace(/sha256:\w+|[\d.]+ (B|KiB)/g, "ANY").replace(/:[\d-]+-TIME|:\d\d-\d\d-\d{4}-[\d:]+/g, ":TIME");

test("a checkpoint fails in containerd's words where CRIU is missing, and the task runs on", async (t) => {
  const path = await pathWithoutCriu(await temporaryDirectory(t));
  const commands = (directory: string) => [
    ["run", "-d", "--null-io", imageName, "one", "sleep", "1000"],
    ["tasks", "checkpoint", "one"],
    ["tasks", "checkpoint", "--exit", "--image-path", join(directory, "images"), "one"],
    ["containers", "checkpoint", "--task", "one", "example.test/one:1"],
    ["images", "ls", "-q"],
    ["tasks", "ls"],
  ];
  const missing = { PATH: path };
  const expected = await outcomes(t, (await containerd()).withEnvironment(missing), commands);
  const daemon = (await shiplogdWithoutCollection()).withEnvironment(missing);
  const work = join(daemon.paths.root, "io.containerd.runtime.v2.task", namespace, "one");
  const actual = await outcomes(t, daemon, commands, async () =>
    assert.deepEqual(await readdir(work), [], "images are left"),
  );
  assert.deepEqual(actual, expected);
  assert.match(actual[2]!, /CRIU version check failed: exec: "criu": executable file not found/);
});

/** The path of this process without the directories that hold criu; what is used of those is in `directory`. */
async function pathWithoutCriu(directory: string): Promise<string> {
  const has = (at: string, name: string) =>
    access(join(at, name)).then(
      () => true,
      () => false,
    );
  const kept = [directory];
  for (const at of process.env.PATH!.split(delimiter)) {
    if (!(await has(at, "criu"))) kept.push(at);
    else
      for (const name of ["runc", "containerd", "containerd-shim-runc-v2"])
        if ((await has(at, name)) && !(await has(directory, name)))
          await symlink(join(at, name), join(directory, name));
  }
  return kept.join(delimiter);
}
