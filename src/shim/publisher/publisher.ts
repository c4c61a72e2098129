/**
 * Events of a shim, handed to the daemon one after the other over its ttrpc socket.
 *
 * Owns the queue, the connection and when to try again. What must arrive (it comes with `acknowledged`) is never dropped and is sent until the
 * daemon has taken it, however long that is away; it may then arrive twice. Anything else is kept within a bound and may be lost, oldest first.
 * Nothing overtakes what was published before it, but for what the daemon refuses: that is put aside, so that it holds up nobody, or given up where
 * its owner wants to hear of the refusal.
 */
import type { Any } from "../../wire/gen/google/protobuf/any.ts";
import { EventsDefinition } from "../../wire/gen/containerd/services/events/ttrpc/v1/events.ts";
import { timestampFromUnixNano } from "../../wire/time.ts";
import { StatusCode, TtrpcClient, TtrpcError } from "../ttrpc/mod.ts";

/** Events that need not arrive and are kept while the daemon is away; as many as containerd's shims keep. */
export const expendableMax = 2_048;

const forwardMsMax = 5_000;
const connectMsMax = 5_000;

/** Pauses between attempts: each twice as long as the one before. A daemon that is back is noticed within the longest. */
const retryMsMin = 50;
const retryMsMax = 1_000;

/** How long what the daemon refused is left alone. */
const refusedRetryMs = 30_000;

/** Answers that say nothing against the event: the daemon cannot take it now. */
const passing: ReadonlySet<number> = new Set([
  StatusCode.Canceled,
  StatusCode.DeadlineExceeded,
  StatusCode.ResourceExhausted,
  StatusCode.Aborted,
  StatusCode.Unavailable,
]);

/** Request metadata: the answer is to come when what the event tells is durable. Other daemons pass it over. */
export const whenDurable = "shiplog-when-durable";

export interface ShimEvent {
  readonly topic: string;
  readonly event: Any;
  /** Unix nanoseconds. */
  readonly timestamp: bigint;
}

export interface PublisherOptions {
  /** The daemon's ttrpc socket: a path, as TTRPC_ADDRESS has it. */
  readonly ttrpcAddress: string;
  readonly namespace: string;
  /** Told once when the daemon cannot be reached or refuses an event, and when it takes events again. */
  readonly onTrouble?: (text: string) => void;
}

interface Item {
  readonly event: ShimEvent;
  readonly acknowledged: (() => void) | undefined;
  readonly refused: (() => void) | undefined;
}

export class Publisher {
  readonly #options: PublisherOptions;
  #queue: Item[] = [];
  readonly #refused = new Map<Item, NodeJS.Timeout>();
  #expendable = 0;
  #dropped = 0;
  #client: TtrpcClient | undefined;
  #sending = false;
  #failures = 0;
  #closed = false;
  #wake: (() => void) | undefined;
  readonly #idle: (() => void)[] = [];

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /** Events that were lost because too many waited, or because the daemon refused them. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Events that the daemon has not taken yet. */
  get waiting(): number {
    return this.#queue.length + this.#refused.size;
  }

  /**
   * Puts the event in line. With `acknowledged` it is kept until the daemon has taken it, and then told. With `refused` as well, a daemon that does
   * not want it is not asked again.
   */
  publish(event: ShimEvent, acknowledged?: () => void, refused?: () => void): void {
    if (this.#closed) return;
    this.#queue.push({ event, acknowledged, refused });
    if (acknowledged === undefined && ++this.#expendable > expendableMax) this.#dropOldest();
    void this.#send();
  }

  /** Tries at once instead of after the pause: the daemon has shown that it lives. */
  nudge(): void {
    this.#wake?.();
  }

  /** Resolves with true once the daemon has taken everything, or with false after `timeoutMs`. */
  async drained(timeoutMs: number): Promise<boolean> {
    if (this.waiting === 0) return true;
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        resolve(true);
      };
      const timer = setTimeout(() => {
        this.#idle.splice(this.#idle.indexOf(done), 1);
        resolve(false);
      }, timeoutMs);
      this.#idle.push(done);
    });
  }

  /** Gives up the connection and whatever still waits. */
  close(): void {
    this.#closed = true;
    this.#queue = [];
    for (const timer of this.#refused.values()) clearTimeout(timer);
    this.#refused.clear();
    this.#client?.close();
    this.#wake?.();
  }

  async #send(): Promise<void> {
    if (this.#sending) return;
    this.#sending = true;
    // The item that is on its way stays in the queue until it is settled, so that nothing overtakes it; it may be dropped meanwhile.
    for (let item = this.#queue[0]; item !== undefined; item = this.#queue[0]) {
      try {
        await this.#forward(item);
        if (this.#closed) break;
        this.#recovered();
        this.#settle(item);
        item.acknowledged?.();
      } catch (error) {
        if (this.#closed) break;
        if (error instanceof TtrpcError && !passing.has(error.code)) this.#putAside(item, error);
        else await this.#pause(error);
      }
    }
    this.#sending = false;
    if (this.waiting === 0) for (const done of this.#idle.splice(0)) done();
  }

  async #forward({ event: { topic, event, timestamp }, acknowledged }: Item): Promise<void> {
    const { ttrpcAddress, namespace } = this.#options;
    if (this.#client === undefined) {
      const client = await TtrpcClient.connect(`unix://${ttrpcAddress}`, { timeoutMs: connectMsMax });
      client.onClose(() => {
        if (this.#client === client) this.#client = undefined;
      });
      if (this.#closed) return client.close();
      this.#client = client;
    }
    const envelope = { timestamp: timestampFromUnixNano(timestamp), namespace, topic, event };
    const metadata = {
      "containerd-namespace-ttrpc": namespace,
      ...(acknowledged !== undefined && { [whenDurable]: "true" }),
    };
    await this.#client.call(EventsDefinition, "forward", { envelope }, { timeoutMs: forwardMsMax, metadata });
  }

  /** True when the item was still in line. */
  #settle(item: Item): boolean {
    const index = this.#queue.indexOf(item);
    if (index === -1) return false;
    this.#queue.splice(index, 1);
    if (item.acknowledged === undefined) this.#expendable--;
    return true;
  }

  #dropOldest(): void {
    const oldest = this.#queue.find(({ acknowledged }) => acknowledged === undefined);
    if (oldest !== undefined && this.#settle(oldest)) this.#dropped++;
  }

  #putAside(item: Item, refusal: TtrpcError): void {
    this.#options.onTrouble?.(`the daemon refuses ${item.event.topic}: ${refusal.message}`);
    if (!this.#settle(item)) return;
    if (item.acknowledged === undefined || item.refused !== undefined) {
      this.#dropped++;
      item.refused?.();
      return;
    }
    const again = () => {
      this.#refused.delete(item);
      this.#queue.unshift(item);
      void this.#send();
    };
    this.#refused.set(item, setTimeout(again, refusedRetryMs));
  }

  async #pause(error: unknown): Promise<void> {
    if (this.#failures++ === 0) {
      const why = error instanceof Error ? error.message : String(error);
      this.#options.onTrouble?.(`events wait for the daemon: ${why}`);
    }
    const retryMs = Math.min(retryMsMax, retryMsMin * 2 ** Math.min(this.#failures - 1, 16));
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, retryMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
  }

  #recovered(): void {
    if (this.#failures > 0)
      this.#options.onTrouble?.(`the daemon takes events again; ${this.#dropped} were lost so far`);
    this.#failures = 0;
  }
}
