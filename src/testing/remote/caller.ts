/**
 * One namespace of a runtime, asked over the API in the model's names: `here` is the namespace, `@a` a digest. Owns the translation both
 * ways; it knows no service.
 */
import type { Definition, Partially, ServiceClient, Whole } from "../../cli/client.ts";
import type { ContentNames } from "../content-names.ts";
import type { Faults, Link } from "./link.ts";

type Method<D extends Definition, M extends keyof D["methods"]> = D["methods"][M];
/** A stream's messages; one message for any other method. */
type Asked<D extends Definition, M extends keyof D["methods"]> = Method<D, M>["requestStream"] extends true
  ? readonly Partially<Method<D, M>["requestType"]>[]
  : Partially<Method<D, M>["requestType"]>;
type Replied<D extends Definition, M extends keyof D["methods"]> = Method<D, M>["responseStream"] extends true
  ? readonly Whole<Method<D, M>["responseType"]>[]
  : Whole<Method<D, M>["responseType"]>;

type AnyMethod = (request: unknown) => Promise<unknown> | AsyncIterable<unknown>;

export class Caller {
  /** What `here` is on this runtime. */
  readonly namespace: string;
  readonly names: ContentNames;
  /** A directory that containers run in, with `/bin/sleep`; undefined where none may run. */
  readonly rootfs: string | undefined;
  readonly #link: Link;
  readonly #services = new Map<string, Readonly<Record<string, AnyMethod>>>();

  constructor(link: Link, namespace: string, names: ContentNames, rootfs: string | undefined) {
    this.#link = link;
    this.namespace = namespace;
    this.names = names;
    this.rootfs = rootfs;
  }

  /** The reply in the model's names, a stream's as a list. @throws gRPC's error */
  async ask<D extends Definition, M extends keyof D["methods"] & string>(
    definition: D,
    method: M,
    request: Asked<D, M>,
    lease = "",
  ): Promise<Replied<D, M>> {
    const call = this.#service(definition, lease)[method]!;
    const reply = call(this.names.spell<unknown>(request));
    const whole = Symbol.asyncIterator in reply ? await Array.fromAsync(reply) : await reply;
    return this.names.name(whole) as Replied<D, M>;
  }

  /** What can be done to the runtime. */
  get faults(): Faults {
    const { faults } = this.#link;
    if (faults === undefined) throw new Error("this endpoint has no faults");
    return faults;
  }

  /** To be called when the runtime has been started anew. */
  async connectAnew(): Promise<void> {
    this.#services.clear();
    await this.#link.renew();
  }

  #service(definition: Definition, lease: string): Readonly<Record<string, AnyMethod>> {
    const name = `${definition.fullName} ${lease}`;
    let service = this.#services.get(name);
    if (service === undefined) {
      const headers = { namespace: this.namespace, ...(lease !== "" && { lease }) };
      service = this.#link.connection.service(definition, headers) as ServiceClient<Definition> as Readonly<
        Record<string, AnyMethod>
      >;
      this.#services.set(name, service);
    }
    return service;
  }
}
