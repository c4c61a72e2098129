/**
 * Another shim, as seen from outside: whether one serves a bundle, and what it says of the container.
 *
 * Owns short conversations over ttrpc. That a socket takes connections is proof that its shim lives; that it does not answer in time is none that it
 * does not.
 */
import { TaskDefinition } from "../../wire/gen/containerd/task/v2/shim.ts";
import type { RequestOf, ResponseOf } from "../../wire/definition.ts";
import { type AdoptRequest, type AdoptResponse, ShimDefinition } from "../../wire/gen/shiplog/shim/v1/shim.ts";
import { StatusCode, TtrpcClient, TtrpcClosed, TtrpcError } from "../ttrpc/mod.ts";
import { isServed } from "./claim.ts";

const connectMsMax = 5_000;

/** Taking over a container takes longer than a look at it: the runtime is asked. */
const adoptMsMax = 20_000;

type TaskMethods = typeof TaskDefinition.methods;

export class LivingShim {
  readonly address: string;
  readonly #namespace: string;
  readonly #client: TtrpcClient;

  /** The shim at the address, or undefined when nothing listens there. @throws TtrpcError DeadlineExceeded, Error */
  static async find(address: string, namespace: string): Promise<LivingShim | undefined> {
    if (!(await isServed(address))) return undefined;
    try {
      return new LivingShim(address, namespace, await TtrpcClient.connect(address, { timeoutMs: connectMsMax }));
    } catch (error) {
      if (error instanceof TtrpcClosed) return undefined;
      throw error;
    }
  }

  private constructor(address: string, namespace: string, client: TtrpcClient) {
    this.address = address;
    this.#namespace = namespace;
    this.#client = client;
  }

  /** @throws TtrpcError, TtrpcClosed when the shim ends meanwhile */
  async call<K extends keyof TaskMethods & string>(
    method: K,
    request: RequestOf<TaskMethods[K]>,
    timeoutMs: number,
  ): Promise<ResponseOf<TaskMethods[K]>> {
    return this.#client.call(TaskDefinition, method, request, { timeoutMs, metadata: this.#metadata() });
  }

  /**
   * Asks it to serve the bundle as well. Undefined when it is no shim of shiplog's, as one of containerd's in the same group is not: that one needs no
   * asking. @throws TtrpcError, TtrpcClosed when it ends meanwhile
   */
  async adopt(request: AdoptRequest): Promise<AdoptResponse | undefined> {
    try {
      return await this.#client.call(ShimDefinition, "adopt", request, {
        timeoutMs: adoptMsMax,
        metadata: this.#metadata(),
      });
    } catch (error) {
      if (error instanceof TtrpcError && error.code === StatusCode.Unimplemented) return undefined;
      throw error;
    }
  }

  close(): void {
    this.#client.close();
  }

  #metadata(): Record<string, string> {
    return { "containerd-namespace-ttrpc": this.#namespace };
  }
}
