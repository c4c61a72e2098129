/** The runtimes that the model is held against here, each collecting only when it is asked to. */
import { copyFile, mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { connect as connectTo } from "../../src/cli/client.ts";
import { connect, type Faults, type RemoteEndpoint, shiplog } from "../../src/testing/mod.ts";
import { log } from "../../src/wire/mod.ts";
import { containerd, shiplogdWithoutCollection, type TestDaemon } from "../harness/daemons.ts";
import { eventually } from "../harness/eventually.ts";
import { removeRuncTraces } from "../harness/runc-traces.ts";
import { temporaryDirectory } from "../harness/temporary.ts";
import { shimsOf } from "../harness/traces.ts";

/** One shim for each container, found by its command line. */
const shims = '[shim]\ngrouping = "container"\nspares = 0\n';

/** Whoever ends it all: a test, or a program. */
export interface Owner {
  after(end: () => Promise<void>): void;
}

export interface Runtime {
  readonly daemon: TestDaemon;
  readonly endpoint: RemoteEndpoint;
}

/**
 * A daemon of its own, ended with the test. Where durability is not what is tested its files are in memory, which spares the disk half a
 * minute of syncs.
 */
export async function runtime(
  t: Owner,
  which: "shiplog" | "containerd",
  { rootfs, withFaults = false, inMemory = false }: { rootfs?: string; withFaults?: boolean; inMemory?: boolean } = {},
): Promise<Runtime> {
  const daemon = await (inMemory ? onMemory(() => start(which, withFaults)) : start(which, withFaults));
  const made: { endpoint?: RemoteEndpoint } = {};
  t.after(async () => {
    await made.endpoint?.close();
    await daemon.dispose();
  });
  await daemon.start();
  const { address } = daemon;
  const faults = withFaults ? faultsOf(daemon) : undefined;
  const endpoint = await connect({
    address,
    ...(which === "shiplog" && { dialect: shiplog }),
    ...(rootfs !== undefined && { rootfs }),
    ...(faults && { faults }),
  });
  made.endpoint = endpoint;
  return { daemon, endpoint: withoutTraces(endpoint) };
}

async function start(which: "shiplog" | "containerd", withFaults: boolean): Promise<TestDaemon> {
  if (which === "shiplog") return shiplogdWithoutCollection(withFaults ? shims : "");
  const daemon = await containerd();
  const config = join(daemon.paths.directory, "config.toml");
  // After the first collection that was asked for it would go on by itself, at intervals that these make as good as endless.
  const never = "deletion_threshold = 1000000\npause_threshold = 0.0000001";
  await writeFile(config, (await readFile(config, "utf8")).replace("deletion_threshold = 0", never));
  return daemon;
}

async function onMemory<T>(make: () => Promise<T>): Promise<T> {
  const before = process.env.TMPDIR;
  process.env.TMPDIR = "/dev/shm";
  try {
    return await make();
  } finally {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  }
}

/** runc leaves a folder and a cgroup for each namespace that had a container. */
function withoutTraces(endpoint: RemoteEndpoint): RemoteEndpoint {
  return {
    ...endpoint,
    async open() {
      const session = await endpoint.open();
      return {
        ...session,
        async end() {
          await session.end();
          await removeRuncTraces(session.namespace);
        },
      };
    },
  };
}

function faultsOf(daemon: TestDaemon): Faults {
  return {
    async killDaemon() {
      await daemon.end("SIGKILL");
      await daemon.start();
    },
    async rebuild() {
      await daemon.end("SIGTERM");
      await rm(join(daemon.paths.root, "projections"), { recursive: true });
      await daemon.start();
    },
    async killShim(namespace, id) {
      const replaced = async () =>
        (await factsOf(daemon, namespace, `task/${id}`)).filter((type) => type === "TaskShimReplaced").length;
      const before = await replaced();
      const shim = (await shimsOf(daemon.address)).find((each) => each.namespace === namespace && each.id === id);
      if (shim === undefined) throw new Error(`no shim of ${namespace}/${id} runs`);
      process.kill(shim.pid, "SIGKILL");
      await eventually(`the shim of ${id} is replaced`, async () => ((await replaced()) > before ? true : undefined));
    },
  };
}

/** The types of a stream's facts, in order. */
async function factsOf(daemon: TestDaemon, namespace: string, stream: string): Promise<readonly string[]> {
  const connection = connectTo(daemon.address);
  try {
    const read = connection.service(log.LogDefinition).read({ fromPosition: 0n, namespace, stream });
    return (await Array.fromAsync(read)).flatMap(({ facts }) => facts.map(({ type }) => type));
  } finally {
    connection.close();
  }
}

/** A directory that containers can run in. */
export async function rootfs(t: Owner): Promise<string> {
  const directory = await temporaryDirectory(t);
  for (const name of ["bin", "proc", "dev"]) await mkdir(join(directory, name));
  await copyFile("/bin/busybox", join(directory, "bin", "busybox"));
  await symlink("busybox", join(directory, "bin", "sleep"));
  return directory;
}
