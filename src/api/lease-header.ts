/**
 * The rule of the lease header: what a call creates under `containerd-lease` is held by that lease from the same append on.
 *
 * Owns only that rule. Which resources a call creates is the service's business; a service also asks for these steps when the
 * object exists already, for containerd attaches it before it answers AlreadyExists.
 */
import { ShiplogError } from "../error.ts";
import type { Step, View } from "../ledger.ts";
import type { LeaseResource } from "../machines/mod.ts";

/**
 * The steps that attach `resource` to the call's lease: none when the call names no lease.
 * @throws ShiplogError NotFound when the lease is unknown in this namespace (containerd: metadata/leases.go).
 */
export function leaseSteps(view: View, namespace: string, lease: string | undefined, resource: LeaseResource): Step[] {
  if (lease === undefined) return [];
  if (view.leases.get(namespace, lease) === undefined) {
    throw new ShiplogError("NotFound", "lease does not exist: not found", { reason: "LeaseNotFound" });
  }
  return [{ kind: "lease", key: lease, namespace, command: { type: "AddLeaseResource", id: lease, resource } }];
}
