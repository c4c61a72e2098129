/**
 * containerd.services.events.v1.Events: the log as containerd's clients know it, a stream of envelopes. A subscription is a cursor into
 * the log's files, so a slow subscriber costs no memory and misses nothing. Sources: services/events/service.go, events/exchange.
 */
import { ShiplogError } from "../error.ts";
import type { FactType } from "../events/catalogue.ts";
import type { Fact, Position } from "../events/fact.ts";
import { envelopeOf, needsRow } from "../events/topics.ts";
import type { Ledger, Origin } from "../ledger.ts";
import type { PublicationCommand } from "../machines/mod.ts";
import type { Clock } from "../platform/mod.ts";
import type { events as wire } from "../wire/mod.ts";
import { anyValue } from "./any.ts";
import type { Call } from "./call.ts";
import { envelopeAdaptor, envelopeMessage, forwarded, validateTopic } from "./envelope.ts";
import { type Filter, parseFilter } from "./filter/mod.ts";
import type { Service } from "./service.ts";

export interface EventsDependencies {
  readonly ledger: Ledger;
  readonly clock: Clock;
  /** Durable facts in order from a position on, and then as they come; ends when the signal is aborted. */
  readonly follow: (range: { readonly from: Position; readonly signal: AbortSignal }) => AsyncIterable<readonly Fact[]>;
  /** The row that a durable fact led to, as it was just after it. */
  readonly rowAfter: (fact: Fact) => Promise<unknown>;
  /**
   * Where the log stood when this daemon started, while those who lost their subscription to the one before may still be coming back;
   * undefined after that.
   */
  readonly startedAt?: () => Position | undefined;
}

/** What no client's call does, so that a client which did not listen just then cannot know. */
const happensAlone: ReadonlySet<string> = new Set<FactType>(["TaskExited", "ExecExited", "TaskOomed"]);

export function eventsService({
  ledger,
  clock,
  follow,
  rowAfter,
  startedAt,
}: EventsDependencies): Service<typeof wire.EventsDefinition> {
  async function publish(origin: Origin, call: Call, command: PublicationCommand): Promise<Record<string, never>> {
    const outcome = await ledger.transact(origin, () => [{ kind: "event", key: command.topic, command }]);
    call.position = outcome.next;
    return {};
  }

  return {
    async publish({ topic, event }, call) {
      const origin = { ...originOf(call), namespace: namespaceOf(call) };
      validateTopic(topic);
      const value = event === undefined ? null : anyValue(event);
      return publish(origin, call, { type: "PublishEvent", topic, event: value, timestamp: clock.now() });
    },

    async forward({ envelope }, call) {
      const { namespace, command } = forwarded(envelope);
      return publish({ ...originOf(call), namespace }, call, command);
    },

    /**
     * Of every namespace; what happens from now on. Soon after a start it begins with the exits since then, which the start found out or
     * which came before anyone could subscribe: dockerd learns of them by events alone. containerd's shims send theirs again meanwhile.
     */
    async *subscribe({ filters }, call) {
      const wanted = subscriptionFilter(filters);
      const now = ledger.view.next;
      const from = startedAt?.() ?? now;
      call.position = now;
      for await (const facts of follow({ from, signal: call.signal })) {
        for (const fact of facts) {
          if (fact.position < now && !happensAlone.has(fact.type)) continue;
          const envelope = envelopeOf(fact, needsRow(fact.type) ? await rowAfter(fact) : undefined);
          if (envelope !== undefined && wanted(envelopeAdaptor(envelope))) yield envelopeMessage(envelope);
        }
      }
      call.signal.throwIfAborted();
    },
  };
}

function originOf({ principal, request }: Call) {
  return { principal, request };
}

function namespaceOf(call: Call): string {
  try {
    return call.namespace();
  } catch (error) {
    throw prefixed("failed publishing event", error);
  }
}

function subscriptionFilter(filters: readonly string[]): Filter {
  try {
    return parseFilter(filters, "unmapped");
  } catch (error) {
    throw prefixed("subscription error: failed parsing subscription filters", error);
  }
}

function prefixed(doing: string, error: unknown): unknown {
  if (!(error instanceof ShiplogError)) return error;
  return new ShiplogError(error.class, `${doing}: ${error.message}`, { reason: error.reason, cause: error });
}
