/** Transitions of the charts, as commands take them: how each is named, and the facts by which a log shows that it was taken. */
import type { StatedFact } from "../events/catalogue.ts";
import { execOf, type Kind, type TaskCommand, type TaskState } from "../machines/mod.ts";
import { isAboutExec } from "../machines/task-decider.ts";

export interface Transition {
  /** The entity's kind, or `exec`. */
  readonly chart: string;
  readonly from: string;
  readonly command: string;
  readonly to: string;
  /** A `factName` for each fact that it states; none where it changes nothing. */
  readonly facts: readonly string[];
}

type State = { readonly status: string };

/** A fact and the status in which the entity was until then. */
export const factName = (chart: string, status: string, type: string): string => `${chart} ${status} ${type}`;

/** Those that a command has taken; a command about a process beside a task's own takes one of two charts. */
export function transitionsOf(
  kind: Kind,
  command: { readonly type: string },
  states: readonly State[],
  facts: readonly StatedFact[],
): readonly Transition[] {
  const on = (chart: string, status: (state: State) => string): Transition => ({
    chart,
    from: status(states[0]!),
    command: command.type,
    to: status(states.at(-1)!),
    facts: facts.map(({ type }, index) => factName(chart, status(states[index]!), type)),
  });
  const taken = on(kind, ({ status }) => status);
  const asked = command as TaskCommand;
  if (kind !== "task" || !isAboutExec(asked)) return [taken];
  return [taken, on("exec", (state) => execOf(state as TaskState, asked.execId)?.status ?? "absent")];
}
