/**
 * The demo: a daemon of its own, an image made in memory, two containers through containerd's API, and then what the log knows of
 * them once they are gone. Needs root, runc and busybox; neither registry nor network nor containerd. Leaves nothing behind.
 */
import { mkdtempSync, readFileSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout } from "node:timers/promises";
import { connect } from "../src/cli/client.ts";
import type { Command, Context } from "../src/cli/command.ts";
import { history } from "../src/cli/commands/history.ts";
import { state } from "../src/cli/commands/state.ts";
import { verify } from "../src/cli/commands/verify.ts";
import { outputTo } from "../src/cli/output.ts";
import { bytes } from "../src/cli/render/mod.ts";
import { CollectionDefinition } from "../src/wire/gen/shiplog/collection/v1/collection.ts";
import { LogDefinition } from "../src/wire/gen/shiplog/events/v1/log.ts";
import { QueryDefinition } from "../src/wire/gen/shiplog/query/v1/query.ts";
import { findProgram, isStatic } from "./setup/programs.mjs";
import { cleanUp, rememberSocketFolders } from "./demo/clean-up.ts";
import { DemoClient, snapshotter } from "./demo/client.ts";
import { DemoDaemon } from "./demo/daemon.ts";
import { busyboxImage, type Image } from "./demo/image.ts";

const namespace = "demo";

/** How long containers may take to be removed in order after a failure. */
const clearMsMax = 5000;

const out = outputTo(process.stdout);
const { style } = out;

class Interrupted extends Error {
  override readonly name = "Interrupted";

  constructor(by: string) {
    super(`interrupted by ${by}; what was begun has been removed`);
  }
}

/** The first signal, or a reader that goes away, ends the demo before its next step, so that no step is left half done; a second signal ends it at once. */
class Interruption {
  #by: string | undefined;
  readonly atOnce: Promise<never>;

  constructor() {
    const { promise, reject } = Promise.withResolvers<never>();
    this.atOnce = promise;
    for (const signal of ["SIGINT", "SIGTERM"]) {
      process.on(signal, () => {
        if (this.#by !== undefined) reject(new Interrupted(signal));
        this.#by = signal;
      });
    }
    process.stdout.on("error", () => {
      this.#by ??= "the end of its output's reader";
    });
  }

  /** @throws Interrupted once it was interrupted. */
  check(): void {
    if (this.#by !== undefined) throw new Interrupted(this.#by);
  }
}

const interruption = new Interruption();

/** Does one step and says how long it took. */
async function step<T>(what: string, work: () => Promise<T>): Promise<T> {
  interruption.check();
  const start = performance.now();
  const result = await work();
  const seconds = ((performance.now() - start) / 1000).toFixed(2);
  await out.lines(`${style("green", "✓")} ${what.padEnd(72)} ${style("dim", `${seconds} s`)}`);
  return result;
}

/** Runs a command of `shiplog` as the user would, on the demo's connection. */
async function show(
  context: Context,
  command: Command,
  flags: Record<string, string>,
  operands: readonly string[],
): Promise<void> {
  const words = [command.name, ...Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]), ...operands];
  await out.lines("", style("bold", `$ shiplog ${words.join(" ")}`));
  const status = await command.run(context, flags, operands);
  if (status !== 0) throw new Error(`shiplog ${words.join(" ")} ended with status ${status}`);
}

/** What the demo has to end, in whatever way it ends itself. */
class Stage {
  readonly folder = mkdtempSync(join(tmpdir(), "shiplog-demo-"));
  readonly runcRoot = join(this.folder, "runc");
  readonly daemon = new DemoDaemon(this.folder);
  /** Containers that were begun and not yet removed. */
  readonly containers = new Set<string>();
  connection = connect(this.daemon.address);

  get client(): DemoClient {
    return new DemoClient(this.connection, namespace);
  }

  async restartAfterCrash(): Promise<void> {
    await this.daemon.crash();
    this.connection.close();
    await this.daemon.start();
    this.connection = connect(this.daemon.address);
  }

  async run(id: string, image: Image, ...args: string[]): Promise<void> {
    this.containers.add(id);
    await this.client.run({ id, image, args, output: this.outputOf(id), runcRoot: this.runcRoot });
  }

  outputOf(id: string): string {
    return join(this.folder, `${id}.log`);
  }

  async remove(id: string): Promise<void> {
    await this.client.remove(id);
    this.containers.delete(id);
  }

  /** Ends and removes everything; what cannot be ended in order is ended by force. */
  async clear(): Promise<void> {
    const inOrder = async (id: string) => {
      await this.client.kill(id, constants.signals.SIGKILL).catch(() => undefined);
      await this.client.exited(id);
      await this.client.remove(id);
    };
    await Promise.race([
      Promise.allSettled([...this.containers].map(inOrder)),
      setTimeout(clearMsMax, undefined, { ref: false }),
    ]);
    this.connection.close();
    await this.daemon.stop();
    cleanUp({ folder: this.folder, address: this.daemon.address, state: this.daemon.state, runcRoot: this.runcRoot });
  }
}

async function play(stage: Stage): Promise<void> {
  await step("shiplogd serves containerd's API", () => stage.daemon.start());
  const image = busyboxImage(busybox(), snapshotter);
  const size = [image.layer, image.config, image.manifest].reduce((sum, { content }) => sum + content.length, 0);
  await step(`an image made from busybox is put in and unpacked (${bytes(size)})`, () => stage.client.putImage(image));

  const script = "echo Hello from container $(hostname), where I am process $$; uname -sr";
  const status = await step("container hello is created, started, and runs to its end", async () => {
    await stage.run("hello", image, "sh", "-c", script);
    return stage.client.exited("hello");
  });
  for (const line of readFileSync(stage.outputOf("hello"), "utf8").trimEnd().split("\n"))
    await out.lines(`    ${style("cyan", line)}`);
  if (status !== 0) throw new Error(`hello ended with status ${status}`);

  await step("container sleeper is created and started, to sleep for an hour", () =>
    stage.run("sleeper", image, "sleep", "3600"),
  );
  const asleep = (await stage.connection.service(LogDefinition).head({})).nextPosition;
  await step("shiplogd is killed and started again; sleeper sleeps on", () => stage.restartAfterCrash());
  await step("sleeper is killed", async () => {
    await stage.client.kill("sleeper", constants.signals.SIGKILL);
    await stage.client.exited("sleeper");
  });
  await step("both are deleted, with their snapshots", async () => {
    await stage.remove("hello");
    await stage.remove("sleeper");
  });

  const log = stage.connection.service(LogDefinition);
  const collection = stage.connection.service(CollectionDefinition);
  const query = stage.connection.service(QueryDefinition);
  const { service } = stage.connection;
  const context = { out, json: false, namespace, namespaceFlag: namespace, service, log, collection, query };
  await out.lines(
    "",
    "Nothing of them is left but the log, which knows what happened, when, who asked for it and why:",
  );
  for (const id of ["hello", "sleeper"]) await show(context, history, {}, [`container/${id}`, `task/${id}`]);
  await out.lines("", "What there was at any moment, as while sleeper slept:");
  await show(context, state, { at: String(asleep) }, ["task"]);
  await out.lines("", "And that it is whole:");
  await show(context, verify, {}, []);

  const { logId, nextPosition } = await log.head({});
  await out.lines("", `Log ${logId}, next position ${nextPosition}.`);
}

function busybox(): string {
  const found = findProgram("busybox");
  if (found === undefined || !isStatic(found))
    throw new Error("there is no statically linked busybox; run: node scripts/setup.mjs demo");
  return found;
}

async function main(): Promise<void> {
  if (process.getuid!() !== 0) throw new Error("running containers needs root; try: sudo npm run demo");
  const removeSocketFolders = rememberSocketFolders();
  const stage = new Stage();

  await out.lines(style("bold", "shiplog, a container runtime daemon whose only truth is an append-only log"), "");
  try {
    await Promise.race([play(stage), interruption.atOnce]);
  } catch (error) {
    if (!(error instanceof Interrupted) && process.stdout.writable)
      process.stderr.write(`\nThe daemon's last words:\n${stage.daemon.lastLines()}\n`);
    throw error;
  } finally {
    await stage.clear();
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

try {
  await main();
} catch (error) {
  process.stderr.write(`\ndemo: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
