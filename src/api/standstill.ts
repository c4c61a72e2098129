/**
 * Making containers stand still for a moment. Owns pausing and resuming them through the task manager, so that both are facts, and the proof
 * that nobody ran in between. It must never leave a container paused that it has paused itself, unless the daemon ends: then whoever asked has
 * to have recorded for whom, and the next start resumes them.
 */
import { setTimeout as delay } from "node:timers/promises";
import { ErrorClass, ShiplogError } from "../error.ts";
import type { Ledger, Origin, View } from "../ledger.ts";
import { parseStream } from "../projections/mod.ts";
import type { TaskManager } from "../tasks/mod.ts";
import { running } from "./snapshot-users.ts";

/** A shim that has just died is replaced within seconds; only then can its container be resumed. */
const resumeAttemptsMax = 60;
const resumeRetryDelayMs = 250;

export interface StandstillDependencies {
  readonly ledger: Ledger;
  readonly tasks: Pick<TaskManager, "pause" | "resume">;
}

export interface Standstill<T> {
  readonly value: T;
  /** Those that had to be paused. */
  readonly paused: readonly string[];
  /** From before the first was asked to pause until all were known to run again; 0 when none was paused. Nanoseconds. */
  readonly pausedNs: number;
}

/**
 * Runs `work` while none of the `users` runs. `pausing` are those of them that ran when the caller recorded that they would be paused; when
 * another one has begun to run since, or begins meanwhile, or somebody resumes one, nobody can say what `work` saw.
 * @throws ShiplogError Aborted in that case; Unavailable when a container could not be resumed; what `work` and pausing throw
 */
export async function atStandstill<T>(
  { ledger, tasks }: StandstillDependencies,
  origin: Origin,
  pausing: readonly string[],
  users: (view: View) => readonly string[],
  work: () => Promise<T>,
): Promise<Standstill<T>> {
  const begun = process.hrtime.bigint();
  const paused: string[] = [];
  const still = new Still({ ledger, tasks }, origin, users);
  const [worked] = await Promise.allSettled([still.during(pausing, paused, work)]);
  const resumed = await Promise.allSettled(paused.map((id) => resume({ ledger, tasks }, origin, id)));
  const pausedNs = paused.length === 0 ? 0 : Number(process.hrtime.bigint() - begun);
  for (const [index, outcome] of resumed.entries()) {
    if (outcome.status === "rejected") throw outcome.reason;
    if (!outcome.value) still.disturbed ??= paused[index];
  }
  if (worked.status === "rejected") throw worked.reason;
  if (still.disturbed !== undefined) throw aborted(still.disturbed);
  return { value: worked.value, paused: paused.sort(), pausedNs };
}

/** The stretch in which nobody may run. */
class Still {
  readonly #dependencies: StandstillDependencies;
  readonly #origin: Origin;
  readonly #users: (view: View) => readonly string[];
  /** A container that ran all the same. */
  disturbed: string | undefined;

  constructor(dependencies: StandstillDependencies, origin: Origin, users: (view: View) => readonly string[]) {
    this.#dependencies = dependencies;
    this.#origin = origin;
    this.#users = users;
  }

  /** `paused` gets those that have been paused, whatever becomes of the rest. */
  async during<T>(pausing: readonly string[], paused: string[], work: () => Promise<T>): Promise<T> {
    const pauses = pausing.map(async (id) => {
      if (await pause(this.#dependencies, this.#origin, id)) paused.push(id);
    });
    const outcomes = await Promise.allSettled(pauses);
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
    const { ledger } = this.#dependencies;
    const unobserve = ledger.observe((facts) => {
      for (const { type, namespace, stream } of facts) {
        if (namespace !== this.#origin.namespace || !/^Task(?:Starting|Started|Resumed)$/.test(type)) continue;
        const id = parseStream(stream)!.key;
        if (this.#users(ledger.view).includes(id)) this.disturbed ??= id;
      }
    });
    try {
      // In the same tick as the observing begins, so nobody can have been missed.
      const [runs] = running(ledger.view, this.#origin.namespace, this.#users(ledger.view));
      if (runs !== undefined) throw aborted(runs);
      return await work();
    } finally {
      unobserve();
    }
  }
}

/** True when it runs no more because of this call; false when it does not run anyway: it has ended, or somebody else has paused it. */
async function pause({ ledger, tasks }: StandstillDependencies, origin: Origin, id: string): Promise<boolean> {
  try {
    await tasks.pause(origin, id);
    return true;
  } catch (error) {
    if (running(ledger.view, origin.namespace, [id]).length === 0) return false;
    throw error;
  }
}

/** False when somebody else has resumed it already. One that has ended has not run either. */
async function resume({ ledger, tasks }: StandstillDependencies, origin: Origin, id: string): Promise<boolean> {
  for (let attempt = 1; ; attempt++) {
    try {
      await tasks.resume(origin, id);
      return true;
    } catch (error) {
      const status = ledger.view.tasks.get(origin.namespace, id)?.status;
      if (status !== "paused") return status !== "running";
      const isStopping = error instanceof ShiplogError && error.reason === "Stopping";
      if (isStopping || attempt === resumeAttemptsMax)
        throw new ShiplogError(ErrorClass.Unavailable, `container ${id} stays paused: ${(error as Error).message}`, {
          reason: isStopping ? "Stopping" : "ResumeFailed",
          cause: error,
        });
      await delay(resumeRetryDelayMs);
    }
  }
}

const aborted = (id: string) =>
  new ShiplogError(ErrorClass.Aborted, `container ${id} was started or resumed meanwhile`, { reason: "Disturbed" });
