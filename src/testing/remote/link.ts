/** The connection to a runtime and the subscription to its events, made anew when the runtime was killed and has come back. */
import { type Connection, connect } from "../../cli/client.ts";
import { Subscription } from "./subscription.ts";

/** What can be done to a runtime beside what its clients do. Each resolves when the runtime serves again. */
export interface Faults {
  /** Ends the daemon at once, as a crash does, and starts it again. */
  killDaemon(): Promise<void>;
  /** The same, with everything removed in between that can be made anew from the log. */
  rebuild(): Promise<void>;
  /** Ends the shim of this container's task at once, and waits until it has another one. */
  killShim(namespace: string, id: string): Promise<void>;
}

export class Link {
  readonly faults: Faults | undefined;
  readonly #address: string;
  readonly #prefix: string;
  #connection: Connection;
  #subscription: Subscription;

  private constructor({ address, prefix, faults }: LinkOptions, connection: Connection, subscription: Subscription) {
    this.#address = address;
    this.#prefix = prefix;
    this.faults = faults;
    this.#connection = connection;
    this.#subscription = subscription;
  }

  static async open(options: LinkOptions): Promise<Link> {
    const connection = connect(options.address);
    try {
      return new Link(options, connection, await Subscription.begin(connection, options.prefix));
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  get connection(): Connection {
    return this.#connection;
  }

  get subscription(): Subscription {
    return this.#subscription;
  }

  /** What the subscription has seen until now stays. */
  async renew(): Promise<void> {
    const before = this.#subscription;
    await before.end();
    this.#connection.close();
    this.#connection = connect(this.#address);
    this.#subscription = await Subscription.begin(this.#connection, this.#prefix, before);
  }

  async close(): Promise<void> {
    await this.#subscription.end();
    this.#connection.close();
  }
}

export interface LinkOptions {
  readonly address: string;
  /** What the names of the namespaces begin with whose events are told. */
  readonly prefix: string;
  readonly faults?: Faults | undefined;
}
