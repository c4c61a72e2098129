/** The real `docker logs` on files of this formatter. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFile, mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { Docker } from "../../docker/dockerd.ts";
import { containerd } from "../../harness/daemons.ts";
import { feed, numberedChunks, openLog } from "./log-files.ts";

test("docker logs shows what was printed, from rotated, compressed and current files of json-file", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "shiplog-test-"));
  const daemon = await containerd();
  const docker = new Docker(directory, daemon.address);
  t.after(async () => {
    await docker.dispose();
    await daemon.dispose();
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  });
  await daemon.start();
  await docker.start();
  const says = async (...args: readonly string[]) => {
    const result = await docker.run(...args);
    assert.equal(result.code, 0, result.stderr);
    return result;
  };
  await says("import", await busyboxArchive(directory), "busybox:logs");
  const options = { "max-size": "200k", "max-file": "50", compress: "true" };
  const logOpts = Object.entries(options).flatMap(([name, value]) => ["--log-opt", `${name}=${value}`]);
  await says("run", "--name", "logged", "--network", "none", ...logOpts, "busybox:logs", "/busybox", "true");
  const path = (await says("inspect", "-f", "{{.LogPath}}", "logged")).stdout.trim();

  const uri = `json-file://${path}?${new URLSearchParams({ ...options, tag: "told" })}`;
  const log = await openLog(uri);
  await feed(log, numberedChunks(0, 10_000));
  const last = `${"l".repeat(50_000)}\n\n\t"quoted" \\n <&> é 日 😀 \u2028 \x01\r\nunended`;
  log.write("stdout", Buffer.from(last));
  log.write("stderr", Buffer.from("told apart\n"));
  await log.close();

  const names = await readdir(dirname(path));
  assert.ok(names.filter((name) => name.endsWith(".gz")).length > 3, names.join());
  const { stdout, stderr } = await says("logs", "logged");
  assert.equal(stdout, Buffer.concat([...numberedChunks(0, 10_000)]).toString() + last);
  assert.equal(stderr, "told apart\n");
  assert.match(
    (await says("logs", "--details", "--timestamps", "--tail", "1", "logged")).stdout,
    /^\S+Z tag=told unended$/,
  );
});

async function busyboxArchive(directory: string): Promise<string> {
  const root = join(directory, "rootfs");
  await mkdir(root);
  await copyFile("/bin/busybox", join(root, "busybox"));
  execFileSync("tar", ["-C", root, "-cf", `${root}.tar`, "."]);
  return `${root}.tar`;
}
