/**
 * What the tests of this room share: a place on disk for one daemon's tasks, a root file system with busybox, and OCI specs.
 *
 * Each place has an address of its own, so its shims have sockets of their own; `remove` checks that nothing of it is left.
 */
import assert from "node:assert/strict";
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { setTimeout as delay } from "node:timers/promises";
import { pino } from "pino";
import type { AnyValue, Mount } from "../../src/events/catalogue.ts";
import { readMountinfo } from "../../src/platform/mod.ts";
import { Bundles, type TaskKey } from "../../src/tasks/bundle.ts";
import { Launcher } from "../../src/tasks/launch.ts";
import { endShimProcesses, isShimOf } from "../../src/tasks/shim-process.ts";
import { defaultShimSettings } from "../../src/tasks/shim-settings.ts";
import { SpareShims } from "../../src/tasks/spare-shims.ts";

/** Debian's, of containerd. */
export const shimBinary = "/usr/bin/containerd-shim-runc-v2";

export const ownShim = fileURLToPath(new URL("../../bin/containerd-shim-shiplog-v1", import.meta.url));

/** Our own shims as a launcher knows them, none of them warm. */
export function coldShims() {
  const settings = { ...defaultShimSettings, spares: 0 };
  return { binary: ownShim, settings, spares: new SpareShims({ binary: ownShim, count: 0, logger }) };
}

const specType = "types.containerd.io/opencontainers/runtime-spec/1/Spec";
const processType = "types.containerd.io/opencontainers/runtime-spec/1/Process";

export interface Workshop {
  /** Used by no other test: runc keeps its state by namespace, whichever daemon asks. */
  readonly namespace: string;
  readonly base: string;
  readonly stateDir: string;
  readonly rootDir: string;
  readonly address: string;
  readonly ttrpcAddress: string;
  readonly bundles: Bundles;
  readonly launcher: Launcher;
  readonly rootfs: readonly Mount[];
  /** Ends what a failed test may have left, removes all, and fails when the test left anything. */
  remove(): Promise<void>;
}

export const logger = pino({ level: process.env.SHIPLOG_TEST_LOG ?? "silent" });

export async function openWorkshop(): Promise<Workshop> {
  const base = await mkdtemp(join(tmpdir(), "shiplog-tasks-"));
  const [stateDir, rootDir, image] = ["state", "root", "image"].map((name) => join(base, name)) as [
    string,
    string,
    string,
  ];
  await makeImage(image);
  const namespace = `t${randomBytes(6).toString("hex")}`;
  const address = join(base, "grpc.sock");
  const ttrpcAddress = `${address}.ttrpc`;
  const bundles = new Bundles({ stateDir, rootDir });
  return {
    namespace,
    base,
    stateDir,
    rootDir,
    address,
    ttrpcAddress,
    bundles,
    launcher: new Launcher({ address, ttrpcAddress, publishBinary: "/bin/true", own: coldShims() }),
    rootfs: [{ type: "bind", source: image, target: "", options: ["rbind", "ro"] }],
    async remove() {
      // A shim that was told to end tells its last events first.
      for (
        const deadline = Date.now() + endMsMax;
        leftOf(base, address, namespace).length > 0 && Date.now() < deadline;
      )
        await delay(10);
      const left = leftOf(base, address, namespace);
      for (const key of await bundles.list()) {
        await endShimProcesses(key, address, () => false);
        await bundles.remove(key).catch(() => {});
      }
      await rm(join(runcRoot, namespace), { recursive: true, force: true });
      await rm(base, { recursive: true, force: true });
      assert.deepEqual(left, [], "the test leaves nothing behind");
    },
  };
}

/** How long what is ending may take. */
const endMsMax = 5_000;

const runcRoot = "/run/containerd/runc";

/** Shims, mounts and containers that are there although no test of this workshop runs. */
function leftOf(base: string, address: string, namespace: string): string[] {
  const shims = shimsOf(address).map(({ pid, id }) => `shim ${pid} of ${id}`);
  const mounts = readMountinfo()
    .filter(({ mountpoint }) => mountpoint.startsWith(`${base}/`))
    .map(({ mountpoint }) => `mount ${mountpoint}`);
  const containers = existsSync(join(runcRoot, namespace)) ? readdirSync(join(runcRoot, namespace)) : [];
  return [...shims, ...mounts, ...containers.map((id) => `container ${id}`)];
}

/** Every shim process of the daemon at `address`. */
export function shimsOf(address: string): { readonly pid: number; readonly id: string }[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => isShimOf(pid, address))
    .map((pid) => {
      const args = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
      return { pid, id: args[args.indexOf("-id") + 1]! };
    });
}

async function makeImage(directory: string): Promise<void> {
  for (const name of ["bin", "proc", "dev", "tmp"]) await mkdir(join(directory, name), { recursive: true });
  await copyFile("/bin/busybox", join(directory, "bin/busybox"));
  await chmod(join(directory, "bin/busybox"), 0o755);
  for (const name of ["sh", "sleep", "cat", "true", "stty", "echo"])
    await symlink("busybox", join(directory, "bin", name));
}

export interface SpecOptions {
  readonly terminal?: boolean;
  readonly memoryBytesMax?: number;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Shares the host's pid namespace: the end of init does not end the other processes at once. */
  readonly hostPid?: boolean;
}

/** A container that runs `args` in busybox, as the value of a container record's spec. */
export function specOf(key: TaskKey, args: readonly string[], options: SpecOptions = {}): AnyValue {
  const namespaces = ["ipc", "uts", "mount", ...(options.hostPid ? [] : ["pid"])];
  return json(specType, {
    ociVersion: "1.0.2",
    process: { ...processOf(args), terminal: options.terminal ?? false },
    root: { path: "rootfs", readonly: true },
    hostname: key.id,
    annotations: options.annotations ?? {},
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755"] },
      {
        destination: "/dev/pts",
        type: "devpts",
        source: "devpts",
        options: ["newinstance", "ptmxmode=0666", "mode=0620"],
      },
      { destination: "/tmp", type: "tmpfs", source: "tmpfs", options: [] },
    ],
    linux: {
      cgroupsPath: `/shiplog-${process.pid}-${key.namespace}-${key.id}`,
      namespaces: namespaces.map((type) => ({ type })),
      ...(options.memoryBytesMax === undefined ? {} : { resources: { memory: { limit: options.memoryBytesMax } } }),
    },
  });
}

/** A process for exec. */
export function processSpecOf(args: readonly string[], options: { terminal?: boolean } = {}): AnyValue {
  return json(processType, { ...processOf(args), terminal: options.terminal ?? false });
}

function processOf(args: readonly string[]) {
  return { user: { uid: 0, gid: 0 }, args, env: ["PATH=/bin"], cwd: "/", noNewPrivileges: true };
}

function json(typeUrl: string, value: unknown): AnyValue {
  return { typeUrl, value: Buffer.from(JSON.stringify(value)) };
}

/** True when the process has ended, reaped or not: who reaps it once its shim is dead is not the daemon's business. */
export function hasEnded(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z");
  } catch {
    return true;
  }
}

export const noIo = { stdin: "", stdout: "", stderr: "", terminal: false } as const;

/** Resolves when `condition` holds; for what the kernel or a shim does without telling. Fails after ten seconds. */
export async function eventually(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, `within ten seconds: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export const readText = (path: string) => readFile(path, "utf8");
