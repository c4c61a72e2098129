/** containerd.services.events.ttrpc.v1.Events: the one service that shims call. Source: services/events/ttrpc.go. */
import { whenDurable } from "../shim/publisher/mod.ts";
import type { TtrpcHandlers } from "../shim/ttrpc/mod.ts";
import type { TaskManager } from "../tasks/mod.ts";
import type { eventsTtrpc } from "../wire/mod.ts";
import { validEnvelope } from "./envelope.ts";

export function ttrpcEventsService(
  manager: Pick<TaskManager, "observe">,
): TtrpcHandlers<typeof eventsTtrpc.EventsDefinition> {
  return {
    async forward({ envelope }, { peer, metadata }) {
      await manager.observe(validEnvelope(envelope), { pid: peer?.pid ?? 0, whenDurable: metadata.has(whenDurable) });
      return {};
    },
  };
}
