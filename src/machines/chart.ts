/**
 * Charts: an entity's statuses and which command leads from which to which, as an xstate machine. This file owns how a chart is written
 * down and asked; what the charts say is each entity's own. A chart has no entry actions, no effects and no clock: it is asked, never run.
 * Replay never asks.
 */
import { createMachine, transition } from "xstate";
import type { Chart } from "./decider.ts";

/** Where a command leads: a status, or one of two, depending on whether the named condition holds. */
export type Target<Status extends string> =
  | Status
  | { readonly when: string; readonly to: Status; readonly otherwise: Status };

/** Status → command → target. A command that is missing is illegal there; one that is legal but changes nothing leads to the same status. */
export type Transitions<Status extends string, CommandType extends string> = {
  readonly [S in Status]: { readonly [C in CommandType]?: Target<Status> };
};

interface ChartContext {
  readonly holds: readonly string[];
}

/** Builds the chart of `id`, the entity's kind, that begins in `initial`. */
export function buildChart<Status extends string, CommandType extends string>(
  id: string,
  initial: Status,
  transitions: Transitions<Status, CommandType>,
): Chart<CommandType> {
  const conditions = new Set<string>();
  const states = Object.entries(transitions).map(([status, commands]) => {
    const on = Object.entries(commands as Readonly<Record<string, Target<Status>>>).map(([command, target]) => {
      if (typeof target === "string") return [command, target];
      conditions.add(target.when);
      return [command, [{ guard: target.when, target: target.to }, { target: target.otherwise }]];
    });
    return [status, { on: Object.fromEntries(on) }];
  });
  const guards = [...conditions].map((condition) => [
    condition,
    ({ context }: { readonly context: ChartContext }) => context.holds.includes(condition),
  ]);
  const machine = createMachine(
    {
      types: { context: {} as ChartContext, events: {} as { type: string } },
      id,
      initial,
      context: { holds: [] },
      states: Object.fromEntries(states),
    },
    { guards: Object.fromEntries(guards) },
  );

  const ask = (status: string, command: string, holds: readonly string[]): string | undefined => {
    const snapshot = machine.resolveState({ value: status, context: { holds } });
    const event = { type: command };
    if (!snapshot.can(event)) return undefined;
    return transition(machine, snapshot, event)[0].value as string;
  };

  // A chart is finite and its answers never change, so each is worked out once.
  const answers = new Map<string, string | undefined>();
  return {
    machine,
    next(status, command, holds = []) {
      const question = [status, command, ...holds].join(" ");
      if (!answers.has(question)) answers.set(question, ask(status, command, holds));
      return answers.get(question);
    },
  };
}

/** The transitions by which commands that are legal in a status change nothing about it. */
export function stay<Status extends string, CommandType extends string>(
  status: Status,
  commands: readonly CommandType[],
): { readonly [C in CommandType]: Status } {
  return Object.fromEntries(commands.map((command) => [command, status])) as { [C in CommandType]: Status };
}
