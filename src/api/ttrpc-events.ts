/**
 * containerd.services.events.ttrpc.v1.Events: the one service that shims call. Owns the check of what they forward.
 * Sources: services/events/ttrpc.go, events/exchange/exchange.go.
 */
import { ErrorClass, ShiplogError } from "../error.ts";
import type { TtrpcHandlers } from "../shim/ttrpc/mod.ts";
import type { TaskManager } from "../tasks/mod.ts";
import { type eventsTtrpc, unixNanoFromTimestamp } from "../wire/mod.ts";
import { identifier } from "./identifier.ts";

type Envelope = NonNullable<eventsTtrpc.ForwardRequest["envelope"]>;

export function ttrpcEventsService(manager: Pick<TaskManager, "observe">): TtrpcHandlers<typeof eventsTtrpc.EventsDefinition> {
  return {
    async forward({ envelope }, { peer }) {
      await manager.observe(validated(envelope), peer?.pid ?? 0);
      return {};
    },
  };
}

/** @throws ShiplogError InvalidArgument, worded as containerd does */
function validated(envelope: Envelope | undefined): Envelope {
  if (envelope === undefined) throw invalid("envelope must be set on forwarded event");
  identifier(envelope.namespace, "event envelope has invalid namespace");
  validateTopic(envelope.topic);
  if (unixNanoFromTimestamp(envelope.timestamp) === undefined) throw invalid("timestamp must be set on forwarded event");
  return envelope;
}

function validateTopic(topic: string): void {
  const problem = `envelope topic ${JSON.stringify(topic)}: `;
  if (topic === "") throw invalid(`${problem}must not be empty`);
  if (!topic.startsWith("/")) throw invalid(`${problem}must start with '/'`);
  if (topic === "/") throw invalid(`${problem}must have at least one component`);
  for (const part of topic.slice(1).split("/")) identifier(part, `${problem}failed validation on component ${JSON.stringify(part)}`);
}

function invalid(message: string): ShiplogError {
  return new ShiplogError(ErrorClass.InvalidArgument, message, { reason: "InvalidEnvelope" });
}
