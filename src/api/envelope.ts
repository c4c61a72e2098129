/**
 * containerd's rules for event envelopes: what may be published, and under which field names filters look
 * into one. Sources: events/exchange/exchange.go, events/events.go, and the generated field paths of api/events.
 */
import { ShiplogError } from "../error.ts";
import type { Envelope } from "../events/topics.ts";
import { type events as wire, payloadByTypeUrl, timestampFromUnixNano, unixNanoFromTimestamp } from "../wire/mod.ts";
import { anyValue, wireAny } from "./any.ts";
import { type PublicationCommand, quoted } from "../machines/mod.ts";
import { type Adaptor, labelField } from "./filter/mod.ts";
import { identifier } from "./identifier.ts";

/** @throws ShiplogError InvalidArgument */
export function validateTopic(topic: string): void {
  const where = `envelope topic ${quoted(topic)}`;
  if (topic === "") throw invalid(`${where}: must not be empty`);
  if (!topic.startsWith("/")) throw invalid(`${where}: must start with '/'`);
  if (topic === "/") throw invalid(`${where}: must have at least one component`);
  for (const component of topic.slice(1).split("/")) {
    identifier(component, `${where}: failed validation on component ${quoted(component)}`);
  }
}

/** A forwarded envelope that may be believed to be one. @throws ShiplogError InvalidArgument */
export function validEnvelope(envelope: wire.Envelope | undefined): wire.Envelope {
  identifier(envelope?.namespace ?? "", "event envelope has invalid namespace");
  validateTopic(envelope!.topic);
  if (unixNano(envelope!.timestamp) === undefined) throw invalid("timestamp must be set on forwarded event");
  return envelope!;
}

/**
 * What a forwarded envelope says, for the ledger: `namespace` is the one it is recorded in, the topic the stream's key.
 * @throws ShiplogError InvalidArgument
 */
export function forwarded(envelope: wire.Envelope | undefined): {
  readonly namespace: string;
  readonly command: PublicationCommand;
} {
  const { namespace, topic, event, timestamp: sent } = validEnvelope(envelope);
  const timestamp = unixNano(sent)!;
  return {
    namespace,
    command: { type: "PublishEvent", topic, event: event === undefined ? null : anyValue(event), timestamp },
  };
}

export function envelopeMessage(envelope: Envelope): wire.Envelope {
  const { namespace, topic, timestamp } = envelope;
  const event = envelope.event();
  return {
    timestamp: timestampFromUnixNano(timestamp),
    namespace,
    topic,
    event: event === null ? undefined : wireAny(event),
  };
}

/** `namespace`, `topic`, and `event.<field>` by the protobuf names of a payload whose type is known. */
export function envelopeAdaptor(envelope: Envelope): Adaptor {
  return ([field, ...rest]) => {
    switch (field) {
      case "namespace":
        return envelope.namespace || undefined;
      case "topic":
        return envelope.topic || undefined;
      case "event":
        return payloadField(envelope, rest);
      default:
        return undefined;
    }
  };
}

function payloadField(envelope: Envelope, path: readonly string[]): string | undefined {
  const event = envelope.event();
  if (event === null || !Object.hasOwn(payloadByTypeUrl, event.typeUrl)) return undefined;
  const codec = payloadByTypeUrl[event.typeUrl as keyof typeof payloadByTypeUrl];
  try {
    return fieldOf(codec.decode(event.value), path);
  } catch {
    // Clients may publish bytes that are no message of the type that they name. containerd finds no field in them either.
    return undefined;
  }
}

/** Strings, truth values, labels and messages within; numbers, times and lists have no field path in containerd. */
function fieldOf(message: object, [name, ...rest]: readonly string[]): string | undefined {
  if (name === undefined) return undefined;
  const key = camelCase(name);
  const value: unknown = Object.hasOwn(message, key) ? (message as Record<string, unknown>)[key] : undefined;
  if (typeof value === "string") return value || undefined;
  if (typeof value === "boolean") return String(value);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  return name === "labels" ? labelField(value as Record<string, string>, rest) : fieldOf(value, rest);
}

function camelCase(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function unixNano(timestamp: wire.Envelope["timestamp"]): bigint | undefined {
  try {
    return unixNanoFromTimestamp(timestamp);
  } catch (error) {
    throw new ShiplogError("InvalidArgument", `timestamp of forwarded event: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function invalid(text: string): ShiplogError {
  return new ShiplogError("InvalidArgument", text, { reason: "InvalidEnvelope" });
}
