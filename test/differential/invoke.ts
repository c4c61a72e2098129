/**
 * One call by its path, as any client makes it: raw metadata, no retries, and everything that comes back, the messages before a failure too.
 */
import { type Client, Metadata, status } from "@grpc/grpc-js";
import type { MessageCodec, MethodDefinition } from "../../src/wire/mod.ts";

/** Headers of a call; a list sends the header several times. */
export interface Headers {
  readonly namespace?: string | readonly string[];
  readonly lease?: string;
}

export interface CallForm extends Headers {
  /** The client gives up after the first message of the reply, for streams that do not end. */
  readonly firstOnly?: boolean;
  /** The client gives up when this is aborted. */
  readonly signal?: AbortSignal;
  /** Told of each message of the reply as it comes; the client sends the next one when it has done with it. */
  readonly onMessage?: (message: unknown) => void | Promise<void>;
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

/** Messages of a stream are sent one at a time, each after the reply to the one before. */
export function invoke(
  client: Client,
  path: string,
  method: MethodDefinition,
  request: unknown,
  form: CallForm,
): Promise<Reply> {
  const requests = method.requestStream ? (request as readonly unknown[]) : [request];
  const bytes = requests.map((message) => bytesOf(method, message));
  return invokeRaw(client, path, bytes, form, (reply) => method.responseType.decode(reply));
}

/** The same with bytes for requests; `decode` is left out where the reply does not matter. */
export function invokeRaw(
  client: Client,
  path: string,
  requests: readonly Buffer[],
  { firstOnly = false, signal, onMessage, ...headers }: CallForm,
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
  signal?.addEventListener("abort", () => call.cancel());
  return new Promise((resolve) => {
    call.on("data", async (reply: Buffer) => {
      const message = decode(reply);
      messages.push(message);
      const count = messages.length;
      await onMessage?.(message);
      if (firstOnly) call.cancel();
      else if (requests.length > 1 && count <= requests.length) send();
    });
    call.on("error", () => {});
    call.on("status", ({ code, details }) => resolve({ code: status[code]!, message: details, messages }));
    send();
    if (requests.length === 1) call.end();
  });
}

/** Every generated codec can fill in what a request leaves out, though the definitions' common type does not say so. */
type Filling = MessageCodec<unknown> & { fromPartial(object: unknown): unknown };

function bytesOf({ requestType }: MethodDefinition, message: unknown): Buffer {
  const codec = requestType as Filling;
  return Buffer.from(codec.encode(codec.fromPartial(message)).finish());
}

function metadataOf({ namespace, lease }: Headers): Metadata {
  const metadata = new Metadata();
  for (const value of typeof namespace === "string" ? [namespace] : (namespace ?? []))
    metadata.add("containerd-namespace", value);
  if (lease !== undefined) metadata.set("containerd-lease", lease);
  return metadata;
}
