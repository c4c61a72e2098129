/** What the model expects of one command: the answer, the world after it, and the facts by which events are told. */
import type { ErrorClass } from "../error.ts";
import type { Step } from "../ledger.ts";
import type { Transition } from "./transition.ts";
import type { ModelFact, World } from "./world.ts";
import type { Answer } from "./answer.ts";

export interface Prediction {
  readonly answer: Answer;
  readonly world: World;
  readonly facts: readonly ModelFact[];
  readonly taken: readonly Transition[];
}

/** Nothing changes. */
export const answers = (world: World, value: unknown): Prediction => ({
  answer: { code: "OK", value },
  world,
  facts: [],
  taken: [],
});

/** Nothing changes, and the runtime says no. */
export const refuses = (world: World, code: ErrorClass, message = ""): Prediction => ({
  answer: { code, message },
  world,
  facts: [],
  taken: [],
});

/** The steps are taken, or refused as the deciders refuse them. */
export function moves(world: World, steps: readonly Step[], value?: unknown): Prediction {
  const moved = world.move(steps);
  if ("rejected" in moved) return refuses(world, moved.rejected, moved.message);
  return { ...moved, answer: value === undefined ? { code: "OK" } : { code: "OK", value } };
}

/** One after the other, each an append of its own; the answer is the last one's, or the first refusal. */
export function inTurn(first: Prediction, next: (world: World) => Prediction): Prediction {
  if (first.answer.code !== "OK") return first;
  const second = next(first.world);
  return { ...second, facts: [...first.facts, ...second.facts], taken: [...first.taken, ...second.taken] };
}

/** After the steps, what nothing reaches is collected; bytes of uploads that were let go of go too. */
export function collects(prediction: Prediction): Prediction {
  return inTurn(prediction, (world) => {
    const collected = moves(world, world.garbage(), prediction.answer.value);
    return { ...collected, world: collected.world.withoutLeftovers() };
  });
}
