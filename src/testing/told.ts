/** Events as they are compared: topic and payload as plain data, without what differs from run to run. */
import { envelopeOf } from "../events/topics.ts";
import type { AnyValue } from "../events/catalogue.ts";
import type { Fact } from "../events/fact.ts";
import { payloadByTypeUrl } from "../wire/mod.ts";
import type { Dialect } from "./dialect.ts";
import { here, type ModelFact } from "./world.ts";

export interface Told {
  readonly topic: string;
  readonly payload: unknown;
}

/** Process ids, times and directories; and what a runtime makes of a client's words. */
const leftOut = new Set(["pid", "exitedAt", "bundle", "rootfs", "io", "checkpoint", "runtime"]);

/** Events of tasks come from a shim, beside the daemon's own: each of the two kinds keeps its order. */
export const isOfTask = ({ topic }: Told): boolean => topic.startsWith("/tasks/");

/** A payload, decoded; one of a type that is not containerd's stays what it is. */
export function told(topic: string, event: AnyValue | undefined, { snapshotEventsNameSnapshotter }: Dialect): Told {
  if (event === undefined || !Object.hasOwn(payloadByTypeUrl, event.typeUrl)) return { topic, payload: event?.typeUrl };
  const decoded = payloadByTypeUrl[event.typeUrl as keyof typeof payloadByTypeUrl].decode(event.value);
  const isLeftOut = (name: string) =>
    leftOut.has(name) ||
    (name === "snapshotter" && !snapshotEventsNameSnapshotter) ||
    // The exit tells it; 1.6 tells 0 here of a process that the deletion itself has ended.
    (name === "exitStatus" && topic === "/tasks/delete");
  const entries = Object.entries(decoded).filter(([name]) => !isLeftOut(name));
  return { topic, payload: Object.fromEntries(entries) };
}

/** The events that the facts are, as the model expects them. */
export function expectedEvents(facts: readonly ModelFact[], dialect: Dialect): readonly Told[] {
  return facts.flatMap(({ kind, key, type, data, row }) => {
    const fact = { namespace: here, stream: `${kind}/${key}`, type, data, time: 0n } as unknown as Fact;
    const envelope = envelopeOf(fact, row);
    return envelope === undefined ? [] : [told(envelope.topic, envelope.event() ?? undefined, dialect)];
  });
}
