import type { Step, View } from "../ledger.ts";
import type { LeaseResource } from "../machines/mod.ts";

/**
 * How the caller's lease takes part in what is recorded: steps that go into the same append. Both give none for a caller without one.
 */
export interface Holding {
  /** @throws ShiplogError NotFound when the lease is unknown */
  hold(view: View, resource: LeaseResource): readonly Step[];
  /** None either when the lease does not hold the resource, or is gone. */
  release(view: View, resource: LeaseResource): readonly Step[];
}
