/**
 * Checking that the machine holds what the tables say and nothing else. Owns the proof: what counts as found was there at two looks with time
 * between them, and no call under way was about it at either. Repairs what is found when asked to.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Fact, Log } from "../events/mod.ts";
import { type FindingKind, look, type Machine, type Suspect } from "./suspects.ts";
import { factsOf } from "./trail.ts";

/** Between two looks: files are made just before they are recorded, and removed just after. */
const graceMsDefault = 1_000;

export const Repair = {
  notAskedFor: "notAskedFor",
  repaired: "repaired",
  failed: "failed",
  /** Something is missing, or is not the daemon's to remove. */
  impossible: "impossible",
} as const;
export type Repair = (typeof Repair)[keyof typeof Repair];

export interface Finding {
  readonly kind: FindingKind;
  readonly place: string;
  readonly message: string;
  /** The facts about it, oldest first; none when the log knows of none. */
  readonly facts: readonly Fact[];
  readonly repair: Repair;
  /** Why the repair failed, or empty. */
  readonly repairMessage: string;
}

export interface CheckOptions {
  readonly machine: Machine;
  readonly log: Pick<Log, "read" | "oldest">;
  readonly graceMs?: number;
}

/** Checks once; with `repair`, removes what is found and can be removed. */
export async function check(
  { machine, log, graceMs = graceMsDefault }: CheckOptions,
  repair: boolean,
): Promise<Finding[]> {
  const first = await look(machine);
  if (first.length === 0) return [];
  await delay(graceMs);
  const seen = new Set(first.map(nameOf));
  const suspects = (await look(machine)).filter((suspect) => seen.has(nameOf(suspect)));
  const facts = await factsOf(
    log,
    suspects.map(({ trail }) => trail),
  );
  const findings: Finding[] = [];
  for (const suspect of suspects) {
    const { kind, place, message, trail } = suspect;
    findings.push({ kind, place, message, facts: facts.get(trail)!, ...(await repaired(suspect, repair)) });
  }
  return findings;
}

async function repaired({ remove }: Suspect, wanted: boolean): Promise<Pick<Finding, "repair" | "repairMessage">> {
  if (!wanted) return { repair: Repair.notAskedFor, repairMessage: "" };
  if (remove === undefined) return { repair: Repair.impossible, repairMessage: "" };
  try {
    await remove();
    return { repair: Repair.repaired, repairMessage: "" };
  } catch (error) {
    return { repair: Repair.failed, repairMessage: error instanceof Error ? error.message : String(error) };
  }
}

const nameOf = ({ kind, place, message }: Suspect): string => `${kind}\0${place}\0${message}`;
