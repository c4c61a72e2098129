/**
 * One call by its path, as any client makes it: raw metadata, no retries, and everything that comes back, the messages before a failure too.
 */
import { type Client, Metadata, status } from "@grpc/grpc-js";
import type { MethodDefinition } from "../../src/wire/mod.ts";

/** Headers of a call; a list sends the header several times. */
export interface Headers {
  readonly namespace?: string | readonly string[];
  readonly lease?: string;
}

/** How a call ended: its status, and every message of the reply. */
export interface Reply {
  /** As `NOT_FOUND`. */
  readonly code: string;
  readonly message: string;
  readonly messages: readonly unknown[];
}

/** A call that takes longer has hung. */
const TIMEOUT_MS = 30_000;

type Codec = { encode(message: unknown): { finish(): Uint8Array }; decode(bytes: Uint8Array): unknown };

/** Messages of a stream are sent one at a time, each after the reply to the one before. */
export function invoke(client: Client, path: string, method: MethodDefinition, request: unknown, headers: Headers): Promise<Reply> {
  const requests = method.requestStream ? (request as readonly unknown[]) : [request];
  const bytes = requests.map((message) => bytesOf(method, message));
  return invokeRaw(client, path, bytes, headers, (reply) => method.responseType.decode(reply));
}

/** The same with bytes for requests; `decode` is left out where the reply does not matter. */
export function invokeRaw(
  client: Client,
  path: string,
  requests: readonly Buffer[],
  headers: Headers,
  decode: (bytes: Buffer) => unknown = () => "a reply",
): Promise<Reply> {
  const same = (buffer: Buffer) => buffer;
  const deadline = Date.now() + TIMEOUT_MS;
  // A stream each way serves every kind of method: on the wire they are the same.
  const call = client.makeBidiStreamRequest(path, same, same, metadataOf(headers), { deadline });
  const messages: unknown[] = [];
  const waiting = [...requests];
  const send = () => {
    const next = waiting.shift();
    if (next === undefined) call.end();
    else call.write(next);
  };
  return new Promise((resolve) => {
    call.on("data", (reply: Buffer) => {
      messages.push(decode(reply));
      if (requests.length > 1 && messages.length < requests.length) send();
      else if (requests.length > 1 && messages.length === requests.length) call.end();
    });
    call.on("error", () => {});
    call.on("status", ({ code, details }) => resolve({ code: status[code]!, message: details, messages }));
    send();
    if (requests.length === 1) call.end();
  });
}

function bytesOf({ requestType }: MethodDefinition, message: unknown): Buffer {
  const codec = requestType as Codec & { fromPartial(object: unknown): unknown };
  return Buffer.from(codec.encode(codec.fromPartial(message)).finish());
}

function metadataOf({ namespace, lease }: Headers): Metadata {
  const metadata = new Metadata();
  for (const value of typeof namespace === "string" ? [namespace] : (namespace ?? [])) metadata.add("containerd-namespace", value);
  if (lease !== undefined) metadata.set("containerd-lease", lease);
  return metadata;
}
