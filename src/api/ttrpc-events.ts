/** containerd.services.events.ttrpc.v1.Events: the one service that shims call. Source: services/events/ttrpc.go. */
import type { TtrpcHandlers } from "../shim/ttrpc/mod.ts";
import type { TaskManager } from "../tasks/mod.ts";
import type { eventsTtrpc } from "../wire/mod.ts";
import { validEnvelope } from "./envelope.ts";

export function ttrpcEventsService(manager: Pick<TaskManager, "observe">): TtrpcHandlers<typeof eventsTtrpc.EventsDefinition> {
  return {
    async forward({ envelope }, { peer }) {
      await manager.observe(validEnvelope(envelope), peer?.pid ?? 0);
      return {};
    },
  };
}
