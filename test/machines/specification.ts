/** Given facts, when a command, then facts or a rejection: the only way in which deciders are tested by example. */
import assert from "node:assert/strict";
import type { StatedFact } from "../../src/events/catalogue.ts";
import type { ErrorClass } from "../../src/error.ts";
import { type Decider, isRejection } from "../../src/machines/decider.ts";

/** The state that the facts come to; fact n happened at n nanoseconds, from 1. */
export function fold<
  State extends { readonly status: string },
  Command extends { readonly type: string },
  F extends StatedFact,
>(decider: Decider<State, Command, F>, facts: readonly F[]): State {
  return facts.reduce(
    (state, fact, index) => decider.evolve(state, { ...fact, time: BigInt(index + 1) }),
    decider.initialState,
  );
}

export function specify<
  State extends { readonly status: string },
  Command extends { readonly type: string },
  F extends StatedFact,
>(decider: Decider<State, Command, F>) {
  return {
    given: (...facts: readonly F[]) => ({
      when(command: Command) {
        const state = fold(decider, facts);
        const decided = decider.decide(state, command);
        return {
          /** The facts in their order; returns the state that they lead to. */
          decides(...expected: readonly F[]): State {
            assert.deepEqual(decided, expected);
            return fold(decider, [...facts, ...expected]);
          },
          rejects(rejected: ErrorClass, reason: string, message: string): void {
            assert.ok(isRejection(decided), `${command.type} was accepted in ${state.status}`);
            assert.deepEqual(decided, { rejected, reason, message });
          },
        };
      },
    }),
  };
}
