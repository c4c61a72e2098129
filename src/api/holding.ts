/**
 * The lease header as the parts below the edge see it: what a call makes is held by the call's lease, what it ends is let go of.
 */
import type { Holding } from "../content/mod.ts";
import type { Call } from "./call.ts";
import { leaseSteps } from "./lease-header.ts";

/** The part that the call's lease takes in its appends. Source: containerd metadata/leases.go (add… and remove…Lease). */
export function holding(call: Call): Holding {
  const { lease } = call;
  const namespace = call.namespace();
  return {
    hold: (view, resource) => leaseSteps(view, namespace, lease, resource),
    release(view, resource) {
      if (lease === undefined) return [];
      const held = view.leases.get(namespace, lease)?.resources ?? [];
      if (!held.some(({ type, id }) => type === resource.type && id === resource.id)) return [];
      return [{ kind: "lease", key: lease, namespace, command: { type: "RemoveLeaseResource", id: lease, resource } }];
    },
  };
}
