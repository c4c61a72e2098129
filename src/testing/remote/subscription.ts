/** The events of a runtime's namespaces whose names begin alike, in the order in which they are told. */
import { setTimeout as delay } from "node:timers/promises";
import type { Connection } from "../../cli/client.ts";
import { events } from "../../wire/mod.ts";
import type { AnyValue } from "../../events/catalogue.ts";

interface Seen {
  readonly topic: string;
  readonly event: AnyValue | undefined;
}

/** How long a mark may take to come back, and the events of a shim to come. */
const markMsMax = 10_000;
const shimMsMax = 5_000;
/** How often the marks of a subscription that may not have begun are repeated. */
const repeatMs = 20;
const askMs = 5;

export class Subscription {
  readonly #connection: Connection;
  /** What the names begin with. */
  readonly #prefix: string;
  readonly #stop = new AbortController();
  readonly #seen: Map<string, Seen[]>;
  readonly #marks = new Map<string, () => void>();
  #marked = 0;
  #ended: Promise<void>;
  #failure: unknown;

  private constructor(connection: Connection, prefix: string, seen: Map<string, Seen[]>) {
    this.#connection = connection;
    this.#prefix = prefix;
    this.#seen = seen;
    this.#ended = this.#listen();
  }

  /** Resolves when the subscription has begun, which no runtime acknowledges. It goes on with what the one before it has seen. */
  static async begin(connection: Connection, prefix: string, before?: Subscription): Promise<Subscription> {
    const subscription = new Subscription(connection, prefix, before === undefined ? new Map() : before.#seen);
    try {
      await subscription.#begun();
    } catch (error) {
      await subscription.end();
      throw error;
    }
    return subscription;
  }

  /** The namespace's events so far; all that were published before the call are among them. Waits for `count`, but not for ever. */
  async of(namespace: string, count: number): Promise<readonly Seen[]> {
    await this.#mark();
    for (const since = Date.now(); (this.#seen.get(namespace)?.length ?? 0) < count; await delay(askMs)) {
      if (Date.now() - since > shimMsMax) break;
    }
    return this.#seen.get(namespace) ?? [];
  }

  forget(namespace: string): void {
    this.#seen.delete(namespace);
  }

  async end(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }

  /** Marks until one comes back. */
  async #begun(): Promise<void> {
    const topic = this.#nextTopic();
    let isBack = false;
    this.#marks.set(topic, () => {
      isBack = true;
    });
    for (const since = Date.now(); !isBack; await delay(repeatMs)) {
      if (Date.now() - since > markMsMax) throw new Error(`no event came back within ${markMsMax} ms`);
      await this.#publish(topic);
    }
    this.#marks.delete(topic);
  }

  /** Resolves when everything that was published before has come. */
  async #mark(): Promise<void> {
    const topic = this.#nextTopic();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#marks.set(topic, resolve);
    const late = setTimeout(() => reject(new Error(`no event came back within ${markMsMax} ms`)), markMsMax);
    try {
      await Promise.all([this.#publish(topic), promise]);
    } finally {
      clearTimeout(late);
      this.#marks.delete(topic);
    }
  }

  #nextTopic(): string {
    this.#marked += 1;
    return `/mark/${this.#marked}`;
  }

  async #publish(topic: string): Promise<void> {
    if (this.#failure !== undefined) throw new Error("the subscription has ended", { cause: this.#failure });
    const { publish } = this.#connection.service(events.EventsDefinition, { namespace: `${this.#prefix}marks` });
    await publish({ topic, event: { typeUrl: "mark", value: Buffer.alloc(0) } });
  }

  async #listen(): Promise<void> {
    const filters = [`namespace~=^${this.#prefix}`];
    const stream = this.#connection
      .service(events.EventsDefinition)
      .subscribe({ filters }, { signal: this.#stop.signal });
    try {
      for await (const { namespace, topic, event } of stream) {
        this.#marks.get(topic)?.();
        if (namespace === `${this.#prefix}marks`) continue;
        const seen = this.#seen.get(namespace);
        if (seen === undefined) this.#seen.set(namespace, [{ topic, event }]);
        else seen.push({ topic, event });
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#failure = error;
    }
  }
}
