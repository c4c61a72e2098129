/** What a subscriber to a namespace's events is told, up to a marker that is published in another one. */
import { events } from "../../src/wire/mod.ts";
import { eventually } from "../harness/eventually.ts";
import type { Place } from "./command.ts";

const markers = "marker";

export class Told {
  readonly #place: Place;
  readonly #stop = new AbortController();
  readonly #envelopes: events.Envelope[] = [];
  readonly #ended: Promise<void>;
  #marked = 0;

  private constructor(place: Place) {
    this.#place = place;
    this.#ended = this.#listen();
  }

  /** Resolves when the subscription has begun. */
  static async of(place: Place): Promise<Told> {
    const told = new Told(place);
    await eventually("the subscription begins", async () => {
      await told.#mark();
      return told.#envelopes.length > 0 ? true : undefined;
    });
    await told.taken();
    return told;
  }

  /** The namespace's events since the last time. */
  async taken(): Promise<readonly events.Envelope[]> {
    const last = await this.#mark();
    await eventually("the marker comes", () => (this.#envelopes.at(-1)?.topic === last ? true : undefined));
    return this.#envelopes.splice(0).filter(({ namespace }) => namespace !== markers);
  }

  async end(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }

  async #mark(): Promise<string> {
    this.#marked += 1;
    const topic = `/${this.#place.run}/${this.#marked}`;
    const service = this.#place.connection.service(events.EventsDefinition, { namespace: markers });
    await service.publish({ topic, event: { typeUrl: markers, value: Buffer.alloc(0) } });
    return topic;
  }

  async #listen(): Promise<void> {
    const { namespace, connection, run } = this.#place;
    const filters = [`namespace==${namespace}`, `namespace==${markers},topic~=^/${run}/`];
    const stream = connection.service(events.EventsDefinition).subscribe({ filters }, { signal: this.#stop.signal });
    try {
      for await (const envelope of stream) this.#envelopes.push(envelope);
    } catch (error) {
      if (!this.#stop.signal.aborted) throw error;
    }
  }
}
