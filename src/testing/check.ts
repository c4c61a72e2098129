/**
 * The model held against endpoints: many sequences, each on every endpoint at once. The first that goes wrong is made as short as it can
 * be, and is told as a script.
 */
import fc from "fast-check";
import type { Code } from "./answer.ts";
import { sequences, withoutCollections } from "./arbitraries.ts";
import type { Command } from "./command.ts";
import { Discrepancy } from "./discrepancy.ts";
import { minimal } from "./minimal.ts";
import type { Endpoint } from "./endpoint.ts";
import { printScript } from "./script.ts";
import type { Run } from "./sequence.ts";
import { runTogether } from "./together.ts";
import type { Transition } from "./transition.ts";

export interface CheckOptions {
  /** Each sequence runs on all of them at once. */
  readonly endpoints: readonly Endpoint[];
  /** How many sequences; 100 where it is left out. */
  readonly runs?: number;
  readonly seed?: number;
  readonly sequences?: fc.Arbitrary<readonly Command[]>;
  /** Sequences that run beside each other, each in a namespace of its own; 1 where it is left out. More ask for no collection. */
  readonly atOnce?: number;
}

export interface Report {
  readonly seed: number;
  readonly sequences: number;
  readonly commands: number;
  /** How many commands were answered how, all endpoints together. */
  readonly codes: Readonly<Record<Code, number>>;
  /** The transitions of the charts that were taken, each once. */
  readonly taken: readonly Transition[];
}

/** What was found, shrunk. */
export class ModelFailure extends Error {
  override readonly name = "ModelFailure";
  readonly seed: number;

  constructor(discrepancy: Discrepancy, seed: number, sequence: number) {
    super(`sequence ${sequence} of seed ${seed}, shrunk: ${discrepancy.message}`, { cause: discrepancy });
    this.seed = seed;
  }

  get discrepancy(): Discrepancy {
    return this.cause as Discrepancy;
  }
}

/** @throws ModelFailure when an endpoint does not do as the model says; Error for what is no refusal, with the script and the cause */
export async function check(options: CheckOptions): Promise<Report> {
  const { endpoints, runs = 100, seed = Date.now() % 1_000_000, atOnce = 1 } = options;
  const codes: Record<Code, number> = {};
  const taken = new Map<string, Transition>();
  let counted = 0;
  let commands = 0;

  const note = ({ answers, taken: steps }: Run) => {
    for (const answer of answers) {
      if (answer === undefined) continue;
      commands += 1;
      codes[answer.code] = (codes[answer.code] ?? 0) + 1;
    }
    for (const transition of steps) taken.set(JSON.stringify(transition), transition);
  };
  const any = options.sequences ?? sequences();
  /** The worker that has found something: the others have nothing left to do while it makes that shorter. */
  let finder: number | undefined;
  const work = (worker: number) => {
    const property = fc.asyncProperty(atOnce > 1 ? withoutCollections(any) : any, async (sequence) => {
      if (finder !== undefined && finder !== worker) return;
      try {
        for (const run of await runTogether(sequence, endpoints)) note(run);
        counted += 1;
      } catch (error) {
        finder ??= worker;
        throw error;
      }
    });
    const share = Math.floor(runs / atOnce) + (worker < runs % atOnce ? 1 : 0);
    return fc.check(property, { seed: seed + worker, numRuns: share });
  };
  const results = await Promise.all(Array.from({ length: Math.min(atOnce, runs) }, (_, worker) => work(worker)));
  const found = finder === undefined ? undefined : results[finder];
  if (found?.failed) {
    const { errorInstance, counterexample, numRuns, seed } = found;
    if (errorInstance instanceof Discrepancy)
      throw new ModelFailure(await minimal(errorInstance, endpoints), seed, numRuns);
    throw new Error(`in sequence ${numRuns} of seed ${seed}:\n${printScript(counterexample![0])}`, {
      cause: errorInstance,
    });
  }
  return { seed, sequences: counted, commands, codes, taken: [...taken.values()] };
}
