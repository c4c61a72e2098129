/**
 * What a decider is. A decider owns one kind of entity: which commands are legal in which state, and what facts they lead to. It is
 * pure and synchronous; clock, ids and observations arrive in the command. It imports nothing but types and xstate.
 */
import type { StatedFact } from "../events/catalogue.ts";
import type { ErrorClass } from "../error.ts";

/** Why a command is refused, with containerd's class and, where clients match on it, containerd's wording. */
export interface Rejection {
  readonly rejected: ErrorClass;
  /** Stable, states a state: `TaskNotRunning`. */
  readonly reason: string;
  readonly message: string;
}

/** A fact as `evolve` sees it: payload and the time of its append. */
export type Timed<F extends StatedFact> = F & { readonly time: bigint };

export interface Decider<
  State extends { readonly status: string },
  Command extends { readonly type: string },
  F extends StatedFact,
> {
  /** The stream's first part, and the table's name: `container`, `task`, … */
  readonly kind: string;
  /** The chart that says which command is legal in which status; `chart.ts` asks it. */
  readonly chart: Chart<Command["type"]>;
  readonly initialState: State;
  /** Facts, none when the outcome already holds, or why not. Never throws for any command that the edge lets through. */
  decide(state: State, command: Command): readonly F[] | Rejection;
  /** A plain fold: never throws, never validates, never looks at now. Returns a new state; states are never changed in place. */
  evolve(state: State, fact: Timed<F>): State;
  /** True when the entity does not exist: its row leaves the table. True of `initialState`. */
  isTerminal(state: State): boolean;
}

/** An entity's chart: xstate's machine behind the two questions that deciders ask. */
export interface Chart<CommandType extends string = string> {
  /** The xstate machine itself, for documents and coverage. */
  readonly machine: unknown;
  /**
   * The status that the command leads to when it succeeds, or undefined when it is illegal in this status. `holds` names the
   * conditions that hold of the state beside its status; only a chart with guards has any.
   */
  next(status: string, command: CommandType, holds?: readonly string[]): string | undefined;
}

export const isRejection = (decided: readonly StatedFact[] | Rejection): decided is Rejection =>
  !Array.isArray(decided);

/**
 * What `evolve` makes of a fact type that it does not know, from the log of a later version: nothing. The compiler knows of no such type,
 * so it names every type that a fold forgets.
 */
export const unknownFact = <State>(state: State, _fact: never): State => state;
