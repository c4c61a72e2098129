/**
 * What should be done for a container, given its labels, its task, the time and what was done before. Pure: the monitor asks again whenever
 * one of these has changed.
 *
 * It decides as containerd's monitor does (plugins/restart/monitor.go), with three differences. Attempts wait, longer each time. A client
 * that is at work on the container is left the time to finish. And an exit that a restart answers counts until there is a task again: there,
 * `on-failure` forgets it as soon as the old task is deleted, so one failed attempt is the last.
 */
import type { Labels } from "../events/catalogue.ts";
import type { TaskState } from "../machines/mod.ts";
import { backOffMs, remainingMs, type Timing } from "./back-off.ts";
import { countLabel, isExplicitlyStopped, parseInteger, parsePolicy, policyLabel, statusLabel } from "./labels.ts";

/** What the monitor remembers of a container. Times in unix nanoseconds. */
export interface Past {
  /** Attempts in a row after none of which it ran well. */
  readonly attempts: number;
  /** Status of the last exit, when there is no task any more because an attempt deleted it; else null. */
  readonly exitStatus: number | null;
  /** When a client last made, changed or unmade something that a start of its own may follow; null once the task ran. */
  readonly touchedAt: bigint | null;
  /** When the last attempt failed; null when it did not. */
  readonly failedAt: bigint | null;
}

export const noPast: Past = { attempts: 0, exitStatus: null, touchedAt: null, failedAt: null };

export interface Circumstances {
  readonly labels: Labels;
  readonly task: TaskState | undefined;
  readonly past: Past;
  readonly now: bigint;
  readonly timing: Timing;
}

export type Verdict =
  | { readonly do: "nothing"; readonly because: string }
  /** The labels ask for what cannot be done. */
  | { readonly do: "complain"; readonly about: string }
  /** Delete the task that is there, create one and start it. `count` is the new value of the label. */
  | { readonly do: "start"; readonly inMs: number; readonly attempts: number; readonly count: number }
  /** Kill the task and delete it. */
  | { readonly do: "stop"; readonly inMs: number; readonly attempts: number };

export function decide(circumstances: Circumstances): Verdict {
  const status = circumstances.task?.status;
  if (status === "creating" || status === "starting" || status === "deleting") return nothing(`the task is ${status}`);
  switch (circumstances.labels[statusLabel]) {
    case "running":
      return keepRunning(circumstances);
    case "stopped":
      return keepStopped(circumstances);
    default:
      return nothing("the labels ask for nothing");
  }
}

function keepStopped({ task, past, now, timing }: Circumstances): Verdict {
  if (task === undefined || task.status === "stopped") return nothing("it does not run");
  const { attempts, failedAt } = past;
  return { do: "stop", inMs: remainingMs(failedAt, backOffMs(attempts, timing), now), attempts };
}

function keepRunning({ labels, task, past, now, timing }: Circumstances): Verdict {
  if (task?.status === "running" || task?.status === "paused") return nothing(`the task is ${task.status}`);
  const count = parseInteger(labels[countLabel] ?? "0");
  const against = objection(labels, task?.exit?.status ?? past.exitStatus ?? 0, count);
  if (against !== undefined) return against;
  const { touchedAt, failedAt } = past;
  const attempts = failedAt === null && ranWell(task, timing) ? 0 : past.attempts;
  const endedAt = task?.exit?.exitedAt ?? null;
  const inMs = Math.max(
    remainingMs(failedAt ?? endedAt, backOffMs(attempts, timing), now),
    remainingMs(touchedAt, timing.clientMs, now),
  );
  return { do: "start", inMs, attempts, count: (count ?? 0) + 1 };
}

/** Why a container that does not run is not to be started, by its policy. */
function objection(labels: Labels, exitStatus: number, count: number | undefined): Verdict | undefined {
  const text = labels[policyLabel] ?? "";
  const policy = parsePolicy(text);
  switch (policy?.name) {
    case undefined:
      return { do: "complain", about: `${JSON.stringify(text)} is no restart policy` };
    case "always":
      return undefined;
    case "no":
      return nothing("its policy is not to start it again");
    case "unless-stopped":
      return isExplicitlyStopped(labels) ? nothing("it was stopped on purpose") : undefined;
    case "on-failure":
      if (count === undefined)
        return { do: "complain", about: `${JSON.stringify(labels[countLabel])} is no count of restarts` };
      if (exitStatus === 0) return nothing("it did not fail");
      return policy.attemptsMax === 0 || count < policy.attemptsMax ? undefined : nothing("its attempts are used up");
  }
}

/** True when the task ended after a time in which it is taken to have been well. */
function ranWell(task: TaskState | undefined, { healthyMs }: Timing): boolean {
  if (task === undefined || task.exit === null || task.startedAt === 0n) return false;
  return Number(task.exit.exitedAt - task.startedAt) >= healthyMs * 1e6;
}

const nothing = (because: string): Verdict => ({ do: "nothing", because });
