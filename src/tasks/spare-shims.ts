/**
 * Warm shims of our own, so that a create does not wait for a process to start: each waits at its end of a pair of sockets until it is told which
 * bundle to serve, and then is a shim like any other. One that has not been told ends with the daemon, or with `close`.
 *
 * Owns the spares and when a new one is made: only when it was quiet for a moment, for a start takes processor time from the create that it followed.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Socket } from "node:net";
import type { Logger } from "pino";
import { type OperationHook, proceed, withTimeout } from "../platform/mod.ts";
import { TtrpcClient } from "../shim/ttrpc/mod.ts";
import { type RequestOf, type ResponseOf, shiplogShim } from "../wire/mod.ts";

type Adopt = (typeof shiplogShim.ShimDefinition)["methods"]["adopt"];

/** How long after a spare was taken another is made. */
const quietMs = 300;

/** How long after a spare that failed another is tried, twice as long each time. */
const failedMsMin = 1_000;
const failedMsMax = 60_000;

/** How long spares may take to end when the daemon stops. */
const endMsMax = 2_000;

const callerDescriptor = 3;

export interface SpareShimsOptions {
  /** The path of our shim. */
  readonly binary: string;
  readonly count: number;
  readonly logger: Logger;
  readonly hook?: OperationHook;
}

/** A shim that serves nothing yet; it may still be starting, and then answers when it has. */
export class SpareShim {
  readonly #child: ChildProcess;
  readonly #client: TtrpcClient;
  readonly ended: Promise<unknown>;

  constructor(binary: string) {
    this.#child = spawn(binary, ["spare"], { cwd: "/", detached: true, stdio: ["ignore", "ignore", "ignore", "pipe"] });
    this.ended = Promise.race([once(this.#child, "exit"), once(this.#child, "error")]);
    this.ended.catch(() => {});
    this.#client = new TtrpcClient(this.#child.stdio[callerDescriptor] as Socket, "a spare shim");
    this.#child.unref();
    (this.#child.stdio[callerDescriptor] as Socket).unref();
  }

  /** @throws TtrpcError of the shim, or DeadlineExceeded; TtrpcClosed when it has ended */
  adopt(request: RequestOf<Adopt>, timeoutMs: number): Promise<ResponseOf<Adopt>> {
    return this.#client.call(shiplogShim.ShimDefinition, "adopt", request, { timeoutMs });
  }

  /** Lets go of one that has been adopted; any other ends. */
  release(): void {
    this.#client.close();
  }

  /** Ends one that does not answer. It is our child and has not been waited for, so its number still means it. */
  kill(): void {
    this.#client.close();
    this.#child.kill("SIGKILL");
  }
}

export class SpareShims {
  readonly #options: SpareShimsOptions;
  readonly #hook: OperationHook;
  readonly #waiting: SpareShim[] = [];
  #timer: NodeJS.Timeout | undefined;
  #failures = 0;
  #closed = true;

  constructor(options: SpareShimsOptions) {
    this.#options = options;
    this.#hook = options.hook ?? proceed;
  }

  /** Begins to keep spares. */
  open(): void {
    this.#closed = false;
    this.#fill();
  }

  /** One that nobody else has, or undefined when there is none. It comes back with `giveBack`, or is gone. */
  take(): SpareShim | undefined {
    const spare = this.#waiting.shift();
    if (spare === undefined) return undefined;
    this.#failures = 0;
    this.#fillAfter(quietMs);
    return spare;
  }

  /** One that was taken and is a spare still. */
  giveBack(spare: SpareShim): void {
    if (this.#closed || this.#waiting.length >= this.#options.count) spare.release();
    else this.#waiting.push(spare);
  }

  /** Ends all that wait, and makes no more. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    const waiting = this.#waiting.splice(0);
    for (const spare of waiting) spare.release();
    await withTimeout(Promise.allSettled(waiting.map(({ ended }) => ended)), endMsMax);
  }

  #fillAfter(ms: number): void {
    clearTimeout(this.#timer);
    if (!this.#closed) this.#timer = setTimeout(() => this.#fill(), ms).unref();
  }

  #fill(): void {
    const { binary, count, logger } = this.#options;
    while (!this.#closed && this.#waiting.length < count) {
      this.#hook("shim.spare");
      const spare = new SpareShim(binary);
      this.#waiting.push(spare);
      const ended = () => {
        const index = this.#waiting.indexOf(spare);
        // One that was taken has ended as a shim.
        if (index < 0) return;
        this.#waiting.splice(index, 1);
        const againMs = Math.min(failedMsMax, failedMsMin * 2 ** Math.min(this.#failures++, 16));
        logger.warn({ againMs }, "a spare shim ended before it was used");
        this.#fillAfter(againMs);
      };
      spare.ended.then(ended, ended);
    }
  }
}
