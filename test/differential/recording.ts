/**
 * What one daemon did: each call of a scenario with its reply and the events that it caused. A call's events are those between its start and
 * a marker that is published after it, since every subscriber gets what is published in one order.
 */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, credentials } from "@grpc/grpc-js";
import { connect, type Connection } from "../../src/cli/client.ts";
import { events, version } from "../../src/wire/mod.ts";
import type { TestDaemon } from "../harness/daemons.ts";
import { eventually } from "../harness/eventually.ts";
import { type Own, plain, plainText } from "./plain.ts";
import type { ComparedCall, Scenario, Subject } from "./scenario.ts";

/** What is compared of a call. */
export interface Outcome {
  readonly code: string;
  readonly message: string;
  readonly reply: readonly unknown[];
  readonly events: readonly unknown[];
}

/** Namespace and topic of the markers; no outcome has the events of this namespace. */
export const markers = "marker";

/** How long an event may take. */
const EVENT_MS_MAX = 10_000;

/** A connection to a daemon that is under comparison, and a subscription to everything that it publishes. */
export class Recording {
  readonly daemon: TestDaemon;
  readonly #client: Client;
  readonly #connection: Connection;
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;
  #envelopes: events.Envelope[] = [];
  #arrival = Promise.withResolvers<void>();
  #marked = 0;
  #failure: unknown;

  private constructor(daemon: TestDaemon) {
    this.daemon = daemon;
    // Larger than any message, so that the limits found are the daemon's.
    const unlimited = { "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 };
    this.#client = new Client(`unix:${daemon.address}`, credentials.createInsecure(), unlimited);
    this.#connection = connect(daemon.address);
    this.#ended = this.#listen();
  }

  static async start(daemon: TestDaemon): Promise<Recording> {
    const connection = connect(daemon.address);
    await eventually(`${daemon.name} answers`, () =>
      connection
        .service(version.VersionDefinition)
        .version({})
        .then(
          () => true,
          () => undefined,
        ),
    );
    connection.close();
    const recording = new Recording(daemon);
    // Nothing tells when a subscription has begun.
    await eventually(`${daemon.name} sends events`, async () => {
      await recording.#publish(0);
      return recording.#envelopes.length > 0 ? true : undefined;
    });
    return recording;
  }

  /** The outcomes of the scenario's calls; none for those that `isLeftOut` says. */
  async run(
    { calls, cleanUp }: Scenario,
    isLeftOut: (call: ComparedCall) => boolean,
  ): Promise<readonly (Outcome | undefined)[]> {
    const directory = await mkdtemp(join(tmpdir(), "shiplog-test-"));
    await mkdir(join(directory, "fifos"));
    const subject = {
      client: this.#client,
      memory: { daemon: this.daemon, directory, kept: new Map<string, unknown>() },
    };
    const own = { daemon: this.daemon.paths.directory, scenario: directory };
    try {
      await this.#taken();
      const outcomes: (Outcome | undefined)[] = [];
      for (const call of calls) {
        if (isLeftOut(call)) {
          outcomes.push(undefined);
          continue;
        }
        try {
          outcomes.push(await this.#outcomeOf(call, subject, own));
        } catch (cause) {
          throw new Error(`"${call.name}" on ${this.daemon.name}`, { cause });
        }
      }
      return outcomes;
    } finally {
      await cleanUp?.(this.daemon);
      await rm(directory, { recursive: true, force: true });
    }
  }

  async #outcomeOf(call: ComparedCall, subject: Subject, own: Own): Promise<Outcome> {
    const { code, message, messages } = await call.run(subject);
    await this.#until((topics) => includesAll(topics, call.later));
    const caused = await this.#taken();
    return {
      code,
      message: plainText(message, own),
      reply: plain(messages, own) as unknown[],
      events: caused.map((envelope) => plain(envelope, own)),
    };
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
    this.#connection.close();
    this.#client.close();
  }

  async #listen(): Promise<void> {
    const stream = this.#connection.service(events.EventsDefinition).subscribe({}, { signal: this.#stop.signal });
    try {
      for await (const envelope of stream) {
        this.#envelopes.push(envelope);
        this.#arrival.resolve();
        this.#arrival = Promise.withResolvers();
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#failure = error;
    }
  }

  #publish(number: number): Promise<unknown> {
    const service = this.#connection.service(events.EventsDefinition, { namespace: markers });
    return service.publish({ topic: `/${markers}/${number}`, event: { typeUrl: markers, value: Buffer.alloc(0) } });
  }

  /** Waits until the topics so far are enough. What does not come in time is missed in the comparison. */
  async #until(enough: (topics: readonly string[]) => boolean): Promise<void> {
    const late = AbortSignal.timeout(EVENT_MS_MAX);
    const over = new Promise<void>((resolve) => late.addEventListener("abort", () => resolve()));
    while (!late.aborted && !enough(this.#envelopes.map(({ topic }) => topic)))
      await Promise.race([this.#arrival.promise, over]);
    if (this.#failure !== undefined)
      throw new Error(`${this.daemon.name} ended the subscription`, { cause: this.#failure });
  }

  /** Every event since the last time, up to a marker published now. */
  async #taken(): Promise<readonly events.Envelope[]> {
    this.#marked += 1;
    const topic = `/${markers}/${this.#marked}`;
    await this.#publish(this.#marked);
    await this.#until((topics) => topics.includes(topic));
    const taken = this.#envelopes.filter(({ namespace }) => namespace !== markers);
    this.#envelopes = [];
    return taken;
  }
}

/** Each as often as it is wanted. */
function includesAll(topics: readonly string[], wanted: readonly string[]): boolean {
  const rest = [...topics];
  return wanted.every((topic) => {
    const at = rest.indexOf(topic);
    if (at !== -1) rest.splice(at, 1);
    return at !== -1;
  });
}
