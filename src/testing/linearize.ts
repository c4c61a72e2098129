/**
 * Whether what several clients were told at once could have come about one command after another. A search after Wing and Gong: of the
 * calls that are left, any that did not begin after another had ended may have been the next; the model says what it would have answered.
 */
import { isDeepStrictEqual } from "node:util";
import type { Answer } from "./answer.ts";
import type { Command } from "./command.ts";
import { type Part, type Picture, pictureOf } from "./picture.ts";
import { sameAnswer, sorted } from "./sequence.ts";
import type { World } from "./world.ts";

/** A call as one client saw it. `began` and `ended` are moments of one clock that never stands still. */
export interface Call {
  readonly command: Command;
  /** Undefined where the runtime was killed before it had answered. */
  readonly answer: Answer | undefined;
  readonly began: number;
  readonly ended: number;
}

/** Orders that are tried at most, counted by the states that they lead to. */
const statesMax = 50_000;

/**
 * An order in which the model gives every one of the answers and ends in what is seen; undefined when there is none.
 * @throws RangeError when there are too many orders to tell
 */
export function linearize(world: World, calls: readonly Call[], seen: Picture): readonly Call[] | undefined {
  const parts = Object.keys(seen) as Part[];
  const visited = new Set<string>();

  function search(now: World, left: readonly Call[]): readonly Call[] | undefined {
    if (left.length === 0) {
      const said = pictureOf(now, parts);
      return parts.every((part) => isDeepStrictEqual(sorted(said[part]), sorted(seen[part]))) ? [] : undefined;
    }
    const state = `${left.map((call) => calls.indexOf(call)).join(" ")} ${now.fingerprint()}`;
    if (visited.has(state)) return undefined;
    visited.add(state);
    if (visited.size > statesMax) throw new RangeError(`more than ${statesMax} states of ${calls.length} calls`);
    const firstEnd = Math.min(...left.map(({ ended }) => ended));
    for (const call of left.filter(({ began }) => began < firstEnd)) {
      for (const after of outcomes(now, call, calls)) {
        const rest = search(
          after,
          left.filter((other) => other !== call),
        );
        if (rest !== undefined) return [call, ...rest];
      }
    }
    return undefined;
  }

  return search(world, calls);
}

/** The worlds that the call may have led to, if it was this call's turn. */
function* outcomes(world: World, call: Call, calls: readonly Call[]): Generator<World, void, void> {
  const { command, answer } = call;
  const prediction = command.predict(world);
  if (answer === undefined) {
    // It was done, or not, or in part.
    yield world;
    if (prediction !== undefined) yield prediction.world;
    yield* command.unfinished(world);
    return;
  }
  if (prediction !== undefined && sameAnswer(prediction.answer, answer)) yield prediction.world;
  // A writer that finds another one at its ref may give up.
  const isLocked = answer.code === "Unavailable" && calls.some((other) => other !== call && sharesRef(other, call));
  if (isLocked) yield world;
}

const sharesRef = (left: Call, right: Call): boolean =>
  left.command.given.ref !== undefined &&
  left.command.given.ref === right.command.given.ref &&
  left.began < right.ended &&
  right.began < left.ended;
