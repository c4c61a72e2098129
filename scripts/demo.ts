/**
 * The demo: a daemon of its own, an image made in memory, two containers through containerd's API, and then what the log knows of
 * them once they are gone. Needs root, runc, a shim and busybox; neither registry nor network nor containerd. Leaves nothing behind.
 */
import { mkdtempSync, readFileSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout } from "node:timers/promises";
import { connect, type Connection } from "../src/cli/client.ts";
import type { Command, Context } from "../src/cli/command.ts";
import { history } from "../src/cli/commands/history.ts";
import { state } from "../src/cli/commands/state.ts";
import { verify } from "../src/cli/commands/verify.ts";
import { outputTo } from "../src/cli/output.ts";
import { bytes } from "../src/cli/render/mod.ts";
import { LogDefinition } from "../src/wire/gen/shiplog/events/v1/log.ts";
import { findProgram, isStatic } from "./setup/programs.mjs";
import { cleanUp, rememberSocketFolders } from "./demo/clean-up.ts";
import { putImage, type RunningContainer, runContainer, snapshotter } from "./demo/client.ts";
import { DemoDaemon } from "./demo/daemon.ts";
import { busyboxImage } from "./demo/image.ts";

const namespace = "demo";
const out = outputTo(process.stdout);
const { style } = out;

/** Does one step and says how long it took. */
async function step<T>(what: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now();
  const result = await work();
  const seconds = ((performance.now() - start) / 1000).toFixed(2);
  await out.lines(`${style("green", "✓")} ${what.padEnd(72)} ${style("dim", `${seconds} s`)}`);
  return result;
}

/** Runs a command of `shiplog` as the user would, on the demo's connection. */
async function show(context: Context, command: Command, flags: Record<string, string>, operands: readonly string[]): Promise<void> {
  const words = [command.name, ...Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]), ...operands];
  await out.lines("", style("bold", `$ shiplog ${words.join(" ")}`));
  const status = await command.run(context, flags, operands);
  if (status !== 0) throw new Error(`shiplog ${words.join(" ")} ended with status ${status}`);
}

async function demo(folder: string, connection: Connection, daemon: DemoDaemon, running: Set<RunningContainer>): Promise<void> {
  const log = connection.service(LogDefinition);
  const head = async () => (await log.head({})).nextPosition;
  const run = async (id: string, ...args: string[]) => {
    const container = await runContainer(connection, namespace, {
      ...{ id, image, args, output: join(folder, `${id}.log`), runcRoot: join(folder, "runc") },
    });
    running.add(container);
    return container;
  };
  const remove = async (container: RunningContainer) => {
    await container.remove();
    running.delete(container);
  };

  await step("shiplogd serves containerd's API", () => daemon.ready());
  const image = busyboxImage(busybox(), snapshotter);
  const size = [image.layer, image.config, image.manifest].reduce((sum, { content }) => sum + content.length, 0);
  await step(`an image made from busybox is put in and unpacked (${bytes(size)})`, () => putImage(connection, namespace, image));

  const hello = await step("container hello is created and started", () =>
    run("hello", "sh", "-c", "echo Hello from $(hostname), process $$ of its own world; uname -sr"),
  );
  const status = await step("it runs to its end", () => hello.exited);
  for (const line of readFileSync(join(folder, "hello.log"), "utf8").trimEnd().split("\n")) await out.lines(`    ${style("cyan", line)}`);
  if (status !== 0) throw new Error(`hello ended with status ${status}`);

  const sleeper = await step("container sleeper is created and started, to sleep for an hour", () => run("sleeper", "sleep", "3600"));
  const whileAsleep = await head();
  await step("it is killed", async () => {
    await sleeper.kill(constants.signals.SIGKILL);
    await sleeper.exited;
  });
  await step("both are deleted, with their snapshots", async () => {
    await remove(hello);
    await remove(sleeper);
  });

  await out.lines("", "Nothing of them is left but the log, which knows what happened, when, who asked for it and why:");
  const context = { out, json: false, namespace, namespaceFlag: namespace, log };
  for (const id of ["hello", "sleeper"]) await show(context, history, {}, [`container/${id}`, `task/${id}`]);
  await out.lines("", `And what there was at any moment, as while sleeper slept, at position ${whileAsleep}:`);
  await show(context, state, { at: String(whileAsleep) }, []);
  await show(context, verify, {}, []);

  const { logId, nextPosition } = await log.head({});
  await out.lines("", `The log is ${style("bold", logId)} and its next position ${style("bold", String(nextPosition))}.`);
}

function busybox(): string {
  const found = findProgram("busybox");
  if (found === undefined || !isStatic(found)) throw new Error("there is no statically linked busybox; run: node scripts/setup.mjs demo");
  return found;
}

class Interrupted extends Error {
  override readonly name = "Interrupted";

  constructor(signal: string) {
    super(`interrupted by ${signal}; what was begun has been removed`);
  }
}

async function main(): Promise<void> {
  if (process.getuid!() !== 0) throw new Error("running containers needs root; try: sudo npm run demo");
  const folder = mkdtempSync(join(tmpdir(), "shiplog-demo-"));
  const removeSocketFolders = rememberSocketFolders();
  const daemon = new DemoDaemon(folder);
  const connection = connect(daemon.address);
  const running = new Set<RunningContainer>();

  const interrupted = Promise.withResolvers<never>();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => interrupted.reject(new Interrupted(signal)));

  await out.lines(style("bold", "shiplog, a container runtime daemon whose only truth is an append-only log"), "");
  try {
    await Promise.race([demo(folder, connection, daemon, running), interrupted.promise]);
  } catch (error) {
    if (!(error instanceof Interrupted)) process.stderr.write(`\nThe daemon's last words:\n${daemon.lastLines()}\n`);
    throw error;
  } finally {
    await Promise.allSettled([...running].map(discard));
    connection.close();
    await daemon.stop();
    cleanUp({ folder, address: daemon.address, runcRoot: join(folder, "runc") });
    removeSocketFolders();
  }
  await out.lines(
    "",
    "The daemon was stopped and its folder removed. To go on with one that stays:",
    "",
    "  bin/shiplogd &                                        root /var/lib/shiplog, socket /run/shiplog/shiplog.sock",
    "  export CONTAINERD_ADDRESS=/run/shiplog/shiplog.sock   any containerd client can use it, such as ctr",
    "  bin/shiplog events --follow                           what happens, as it happens",
    "  bin/shiplog --help",
  );
}

const discardMsMax = 5000;

/** A container that a failure left: it is killed and removed through the API while the daemon still answers. */
async function discard(container: RunningContainer): Promise<void> {
  const inOrder = async () => {
    await container.kill(constants.signals.SIGKILL).catch(() => undefined);
    await container.exited;
    await container.remove();
  };
  // What this does not manage in time, `cleanUp` does by force.
  await Promise.race([inOrder(), setTimeout(discardMsMax, undefined, { ref: false })]);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`\ndemo: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
