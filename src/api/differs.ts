/**
 * Who applies and compares layers: the daemon itself (`walking`), and differs that other processes serve. Owns the order in which they are asked, and
 * nothing else: the next one is asked only where one says that it cannot (containerd: services/diff/local.go).
 */
import { connect } from "../cli/client.ts";
import { ErrorClass, ShiplogError } from "../error.ts";
import type { Ledger } from "../ledger.ts";
import { diff as wire } from "../wire/mod.ts";
import type { Call } from "./call.ts";
import { answered } from "./grpc/mod.ts";
import type { Service } from "./service.ts";

type Differ = Required<Service<typeof wire.DiffDefinition>>;

/** One that asks each in turn; there is at least one. */
export function differsInOrder(differs: readonly Differ[]): Differ {
  const ask = async <T>(question: (differ: Differ) => Promise<T>): Promise<T> => {
    let refused: unknown;
    for (const differ of differs) {
      try {
        return await question(differ);
      } catch (error) {
        if (!(error instanceof ShiplogError) || error.class !== ErrorClass.Unimplemented) throw error;
        refused = error;
      }
    }
    throw refused;
  };
  return {
    apply: (request, call) => ask((differ) => differ.apply(request, call)),
    diff: (request, call) => ask((differ) => differ.diff(request, call)),
  };
}

export interface RemoteDiffer extends Differ {
  close(): void;
}

/** The one that a process serves on its socket. It reads and writes content by itself, as a client of this daemon, under the caller's lease. */
export function remoteDiffer(address: string, ledger: Ledger): RemoteDiffer {
  const connection = connect(address);
  const serviceFor = (call: Call) => {
    const { lease } = call;
    const headers = { namespace: call.namespace(), ...(lease !== undefined && { lease }) };
    return connection.service(wire.DiffDefinition, headers);
  };
  const ask = async <T>(call: Call, question: () => Promise<T>): Promise<T> => {
    try {
      const answer = await answered(question);
      call.position = (await ledger.read(() => undefined)).next;
      return answer;
    } catch (error) {
      call.signal.throwIfAborted();
      throw error;
    }
  };
  return {
    apply: (request, call) => ask(call, () => serviceFor(call).apply(request, { signal: call.signal })),
    diff: (request, call) => ask(call, () => serviceFor(call).diff(request, { signal: call.signal })),
    close: () => connection.close(),
  };
}
