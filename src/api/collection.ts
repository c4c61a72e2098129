/** shiplog.collection.v1.Collection: collections and checks, asked for and explained. */
import { type Finding, Repair, type Unreachable } from "../collection/mod.ts";
import type { Fact } from "../events/mod.ts";
import { collection as wire } from "../wire/mod.ts";
import { batches } from "./batches.ts";
import type { Service } from "./service.ts";

/** Entries in one message: far below what one may hold, for keys of ordinary length. */
const entriesMax = 256;

export interface CollectionDependencies {
  /** Collects with a look that is taken after the call; resolves with what is gone. */
  readonly collect: () => Promise<readonly Unreachable[]>;
  readonly explain: () => Promise<readonly Unreachable[]>;
  /** Holds the machine against the tables, and removes what is found when `repair` is set. */
  readonly check: (repair: boolean) => Promise<readonly Finding[]>;
}

export function collectionService({
  collect,
  explain,
  check,
}: CollectionDependencies): Service<typeof wire.CollectionDefinition> {
  return {
    async *collect({ dryRun }) {
      for (const garbage of batches(await (dryRun ? explain() : collect()), entriesMax))
        yield { garbage: [...garbage] };
    },

    async *check({ repair }) {
      for (const findings of batches(await check(repair), entriesMax)) yield { findings: findings.map(findingMessage) };
    },
  };
}

const repairs = {
  [Repair.notAskedFor]: wire.Repair.NOT_ASKED_FOR,
  [Repair.repaired]: wire.Repair.REPAIRED,
  [Repair.failed]: wire.Repair.FAILED,
  [Repair.impossible]: wire.Repair.IMPOSSIBLE,
} as const;

const findingMessage = ({ kind, place, message, facts, repair, repairMessage }: Finding): wire.Finding => ({
  kind,
  place,
  message,
  origins: facts.map(originMessage),
  repair: repairs[repair],
  repairMessage,
});

const originMessage = ({ position, namespace, stream, type, time, principal: { uid, pid } }: Fact): wire.Origin => ({
  position: BigInt(position),
  namespace,
  stream,
  type,
  timeUnixNano: time,
  uid,
  pid,
});
