/**
 * From a handler to what grpc-js calls, one function per kind of method. Owns the order of things in a call: the call's parts, then the
 * handler, then reply or status, and the end of its signal in any case. It knows no service.
 */
import type { sendUnaryData } from "@grpc/grpc-js";
import { setImmediate } from "node:timers/promises";
import type { Call } from "../call.ts";
import type { MethodDefinition } from "../service.ts";
import { failureOf, isExpected } from "../status.ts";
import { type Duplex, type GrpcCall, positionMetadata, type Surface, type Unary, type Writable } from "./call.ts";
import { Outlet } from "./outlet.ts";

/** What a method needs of the server. */
export interface Calls {
  /** The call of this surface; undefined when its connection is closed already, and nobody waits for an answer. */
  begin(surface: Surface, streams: boolean): GrpcCall | undefined;
  readonly onFault: OnFault;
}

/** Told once of each error that is no ShiplogError. */
export type OnFault = (fault: Fault) => void;

export interface Fault {
  readonly error: unknown;
  /** What was being done: `/package.Service/Method`, or `accept`. */
  readonly during: string;
  /** The request's id, empty outside of one. */
  readonly request: string;
}

type UnaryHandler = (request: unknown, call: Call) => Promise<unknown>;
type StreamHandler = (request: unknown, call: Call) => AsyncIterable<unknown>;

export function unaryMethod(path: string, { responseType }: MethodDefinition, handler: UnaryHandler, calls: Calls) {
  return async (surface: Unary, reply: sendUnaryData<Buffer>): Promise<void> => {
    const call = calls.begin(surface, false);
    if (call === undefined) return;
    try {
      const response = bytesOf(responseType.encode(await handler(surface.request, call)));
      if (call.position !== undefined) surface.sendMetadata(positionMetadata(call.position));
      reply(null, response);
    } catch (error) {
      reply(failure(error, path, surface, call, calls));
    } finally {
      call.finish();
    }
  };
}

export function serverStreamMethod(
  path: string,
  { responseType }: MethodDefinition,
  handler: StreamHandler,
  calls: Calls,
) {
  return async (surface: Writable): Promise<void> => {
    const call = calls.begin(surface, true);
    if (call !== undefined)
      await answer(path, responseType, surface, call, calls, () => handler(surface.request, call));
  };
}

export function bidiMethod(path: string, { responseType }: MethodDefinition, handler: StreamHandler, calls: Calls) {
  return async (surface: Duplex): Promise<void> => {
    const call = calls.begin(surface, true);
    if (call !== undefined)
      await answer(path, responseType, surface, call, calls, () => handler(requests(surface, call), call));
  };
}

async function answer(
  path: string,
  responseType: MethodDefinition["responseType"],
  surface: Writable | Duplex,
  call: GrpcCall,
  calls: Calls,
  run: () => AsyncIterable<unknown>,
): Promise<void> {
  const outlet = new Outlet(surface);
  try {
    for await (const response of run()) {
      await outlet.send(bytesOf(responseType.encode(response)));
      if (surface.destroyed) return;
    }
    surface.end();
  } catch (error) {
    const status = failure(error, path, surface, call, calls);
    if (!surface.destroyed) surface.emit("error", status);
  } finally {
    call.finish();
  }
}

/**
 * The client's messages, up to its half-close. A handler that stops reading leaves the rest unread: the stream then pushes back.
 * grpc-js reads 16 messages ahead.
 * @throws ShiplogError Canceled or DeadlineExceeded when the client goes away
 */
async function* requests(surface: Duplex, call: GrpcCall): AsyncGenerator<unknown, void, undefined> {
  try {
    yield* surface.iterator({ destroyOnReturn: false });
  } catch (error) {
    throw surface.cancelled ? call.gone() : error;
  }
  // When the client resets the stream, its end is seen first and the cancellation some ticks later.
  await setImmediate();
  if (surface.cancelled) throw call.gone();
}

/** The status for what a handler threw; reports it when it is a fault of ours and the client did not cause it by going away. */
function failure(error: unknown, during: string, surface: Surface, call: GrpcCall, calls: Calls) {
  if (!isExpected(error) && !surface.cancelled) calls.onFault({ error, during, request: call.request });
  const { code, message } = failureOf(error);
  return { code, details: message };
}

function bytesOf(writer: { finish(): Uint8Array }): Buffer {
  const bytes = writer.finish();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
