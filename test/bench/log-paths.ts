/**
 * The ways of a container's output, from the process to where it belongs, beside the real containerd: MB of output a second, and CPU seconds of the
 * daemon and the shim for each GB of output. What the process itself and the reader of a FIFO use is not in the CPU seconds; all of them share the machine.
 * On a machine that is busy with other things, a process that writes to its file itself has one thread's part of it where a shim beside it makes two.
 */
import { execFile } from "node:child_process";
import { open, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import type { Aim } from "./aim.ts";
import { Containers, type Output } from "./containers.ts";
import { Flood } from "./flood.ts";
import { median } from "./median.ts";
import { ratios, spreadText } from "./spread.ts";
import { onStage } from "./stage.ts";
import { cpuSeconds, shimPids } from "./supervisors.ts";
import { inTurn, roundsOr } from "./turns.ts";

const rounds = roundsOr(5);
const WARM_UP = 1;
const REST_MS = 1_000;
/** Some 540 MB of output. */
const COPIES = 8;
const ASK_EVERY_MS = 1;
const ARRIVED_MS_MAX = 120_000;
const READ_BYTES = 256 * 1024;

const run = promisify(execFile);

interface Figures {
  readonly megabytesPerSecond: number;
  readonly cpuSecondsPerGigabyte: number;
}

const schemes = {
  file: (path: string) => `file://${path}`,
  direct: (path: string) => `file://${path}?direct=true`,
  "json-file": (path: string) => `json-file://${path}`,
  cri: (path: string) => `cri://${path}`,
} as const;
type Scheme = keyof typeof schemes | "fifo";

/** One daemon's way of output to a file in the flood's directory, which it makes and removes. */
class LogPath {
  readonly #client: Containers;
  readonly #scheme: Scheme;
  readonly #flood: Flood;
  /** What the file has in the end: the same each time, so the first time tells. */
  #size: number | undefined;

  constructor(client: Containers, scheme: Scheme, flood: Flood) {
    this.#client = client;
    this.#scheme = scheme;
    this.#flood = flood;
  }

  /** The first figures are of no use: only then is it known what to wait for. */
  async measure(): Promise<Figures> {
    const path = join(this.#flood.directory, "output");
    if (this.#scheme === "fifo") return this.#measureFifo(path, join(this.#flood.directory, "errors"));
    const uri = schemes[this.#scheme](path);
    try {
      const figures = await this.#flow({ stdout: uri, stderr: uri }, () => this.#written(path));
      await this.#check(path);
      return figures;
    } finally {
      await rm(path, { force: true });
    }
  }

  async #measureFifo(stdout: string, stderr: string): Promise<Figures> {
    const ended = new AbortController();
    await run("mkfifo", [stdout, stderr]);
    // Open to read as well, so that it has a reader, to which nothing comes.
    const errors = await open(stderr, "r+");
    try {
      return await this.#flow({ stdout, stderr }, this.#read(stdout, ended.signal));
    } finally {
      ended.abort();
      await errors.close();
      for (const path of [stdout, stderr]) await rm(path);
    }
  }

  async #flow(output: Output, arrived: () => Promise<unknown>): Promise<Figures> {
    const { daemon } = this.#client;
    const { directory, args, bytes } = this.#flood;
    const { id } = await this.#client.run(args, { directory, output });
    const [shim, ...more] = await shimPids(daemon);
    if (shim === undefined || more.length > 0) throw new Error(`${1 + more.length} shims of ${daemon.name}, not one`);
    const cpu = async () => (await cpuSeconds(daemon.pid)) + (await cpuSeconds(shim));

    const cpuBefore = await cpu();
    const started = performance.now();
    await this.#flood.tell("begin");
    await arrived();
    const seconds = (performance.now() - started) / 1000;
    const cpuUsed = (await cpu()) - cpuBefore;

    await this.#flood.tell("end");
    const status = await this.#client.wait(id);
    await this.#client.delete(id);
    if (status !== 0)
      throw new Error(`the process that writes to ${this.#scheme} of ${daemon.name} ended with ${status}`);
    return { megabytesPerSecond: bytes / 1e6 / seconds, cpuSecondsPerGigabyte: cpuUsed / (bytes / 1e9) };
  }

  /** Begins to read the FIFO; what is returned waits until all has been read. */
  #read(fifo: string, signal: AbortSignal): () => Promise<void> {
    const count = `${this.#flood.bytes}`;
    const args = [`if=${fifo}`, "of=/dev/null", `bs=${READ_BYTES}`, "iflag=fullblock,count_bytes", `count=${count}`];
    const reading = run("dd", args, { signal });
    // Whoever waits for it is told; when the measurement fails, nobody does.
    reading.catch(() => {});
    return async () => {
      const { stderr } = await reading;
      if (!stderr.includes(`${count} bytes`)) throw new Error(`not all came through the FIFO: ${stderr}`);
    };
  }

  async #written(path: string): Promise<void> {
    const expected = this.#size;
    if (expected === undefined) return;
    const deadline = performance.now() + ARRIVED_MS_MAX;
    while ((await stat(path)).size < expected) {
      if (performance.now() > deadline)
        throw new Error(`not within ${ARRIVED_MS_MAX} ms: ${path} has ${expected} bytes`);
      await delay(ASK_EVERY_MS);
    }
  }

  async #check(path: string): Promise<void> {
    const { size } = await stat(path);
    this.#size ??= size;
    if (size !== this.#size)
      throw new Error(`${this.#scheme} of ${this.#client.daemon.name}: ${size} bytes, not ${this.#size}`);
  }
}

export async function benchLogPaths(print: (line: string) => void): Promise<readonly Aim[]> {
  return onStage(async (stage) => {
    const ours = new Containers(stage, await stage.shiplogd());
    const theirs = new Containers(stage, await stage.containerd());
    const flood = await Flood.open(join(stage.directory, "flood"), COPIES);
    const path = (client: Containers, scheme: Scheme) => {
      const measured = new LogPath(client, scheme, flood);
      return () => measured.measure();
    };
    try {
      const figures = await inTurn(
        {
          "containerd fifo": path(theirs, "fifo"),
          "shiplog fifo": path(ours, "fifo"),
          "containerd file": path(theirs, "file"),
          "shiplog file": path(ours, "file"),
          "shiplog direct": path(ours, "direct"),
          "shiplog json-file": path(ours, "json-file"),
          "shiplog cri": path(ours, "cri"),
        },
        { rounds, warmUp: WARM_UP, restMs: REST_MS },
      );
      const rate = (all: readonly Figures[]) => all.map(({ megabytesPerSecond }) => megabytesPerSecond);
      const cost = (all: readonly Figures[]) => all.map(({ cpuSecondsPerGigabyte }) => cpuSecondsPerGigabyte);
      const text = (all: readonly Figures[]) =>
        `${spreadText(rate(all), "MB/s")} at ${spreadText(cost(all), "CPU s/GB", 2)}`;
      const show = (name: string, our: readonly Figures[], their?: readonly Figures[]) =>
        print(
          `output to ${name}, ${(flood.bytes / 1e6).toFixed(0)} MB, median of ${rounds} (middle half): shiplog ${text(our)}` +
            (their === undefined
              ? ""
              : `, containerd ${text(their)}, ratio of the rates ${spreadText(ratios(rate(our), rate(their)), "x", 2)}`),
        );
      show("a FIFO that a client reads", figures["shiplog fifo"], figures["containerd fifo"]);
      show("file://", figures["shiplog file"], figures["containerd file"]);
      show("file://?direct=true, containerd to file://", figures["shiplog direct"], figures["containerd file"]);
      show("json-file://", figures["shiplog json-file"]);
      show("cri://", figures["shiplog cri"]);
      const direct = median(ratios(rate(figures["shiplog direct"]), rate(figures["containerd file"])));
      const formatted = (scheme: "json-file" | "cri"): Aim => ({
        what: `output to ${scheme}://`,
        measured: median(rate(figures[`shiplog ${scheme}`])),
        unit: "MB/s",
        bound: { atLeast: 400 },
      });
      return [
        { what: "output to file://?direct=true", measured: direct, unit: "x", bound: { atLeast: 1 } },
        formatted("json-file"),
        formatted("cri"),
      ];
    } finally {
      await flood.close();
      for (const client of [ours, theirs]) client.close();
    }
  });
}

if (import.meta.main) await benchLogPaths(console.log);
