/** How the lease of a call takes part in it: what is made is held, what ends is let go of. */
import type { Step } from "../ledger.ts";
import type { LeaseResource } from "../machines/mod.ts";
import type { World } from "./world.ts";

/** True when the call is made under a lease that is not there. */
export const lacksLease = (world: World, lease: string): boolean =>
  lease !== "" && world.row("lease", lease) === undefined;

export const holds = (lease: string, resource: LeaseResource): readonly Step[] =>
  lease === "" ? [] : [{ kind: "lease", key: lease, command: { type: "AddLeaseResource", id: lease, resource } }];

/** None when the lease is not there: nobody minds. */
export const lets = (world: World, lease: string, resource: LeaseResource): readonly Step[] =>
  lease === "" || lacksLease(world, lease)
    ? []
    : [{ kind: "lease", key: lease, command: { type: "RemoveLeaseResource", id: lease, resource } }];

export const contentResource = (id: string): LeaseResource => ({ type: "content", id });
export const ingestResource = (id: string): LeaseResource => ({ type: "ingests", id });
export const snapshotResource = (snapshotter: string, id: string): LeaseResource => ({
  type: `snapshots/${snapshotter}`,
  id,
});
