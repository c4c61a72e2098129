/**
 * grpc.health.v1.Health: whether the server as a whole serves, which it does whenever it can be asked. dockerd waits for this before it
 * starts. Single services are not known here, as in containerd.
 */
import { once } from "node:events";
import { ShiplogError } from "../error.ts";
import { health as wire } from "../wire/mod.ts";
import type { Service } from "./service.ts";

const { SERVING, SERVICE_UNKNOWN } = wire.HealthCheckResponse_ServingStatus;

export function healthService(): Service<typeof wire.HealthDefinition> {
  return {
    async check({ service }) {
      if (service !== "")
        throw new ShiplogError("NotFound", "unknown service", { reason: "UnknownService", whole: true });
      return { status: SERVING };
    },

    /** The state now; it never changes while there is a server to tell it. */
    async *watch({ service }, { signal }) {
      yield { status: service === "" ? SERVING : SERVICE_UNKNOWN };
      if (!signal.aborted) await once(signal, "abort");
      throw signal.reason;
    },
  };
}
