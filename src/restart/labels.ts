/**
 * The labels by which a client leaves the running of a container to the daemon, and how they are read. Names, values and what counts as a
 * number are containerd's (core/runtime/restart/restart.go; all but `logpath` as in 1.7 and 2.x, which `logpath` has left).
 */
import type { Labels } from "../events/catalogue.ts";

const prefix = "containerd.io/restart.";

/** What the task is to be: `running` and `stopped` are brought about, any other value is left alone. */
export const statusLabel = `${prefix}status`;
export const policyLabel = `${prefix}policy`;
/** How often the container has been started again; the monitor counts here. */
export const countLabel = `${prefix}count`;
export const explicitlyStoppedLabel = `${prefix}explicitly-stopped`;
/** Where the output of a task goes that the monitor creates: a URI, or the path of a file in the form that came before. */
export const logUriLabel = `${prefix}loguri`;
export const logPathLabel = `${prefix}logpath`;

export const restartPolicies = ["no", "always", "on-failure", "unless-stopped"] as const;
export type RestartPolicy = (typeof restartPolicies)[number];

export interface Policy {
  readonly name: RestartPolicy;
  /** Attempts that `on-failure` makes in all; 0 for any number. */
  readonly attemptsMax: number;
}

/** Undefined for a text that is no policy. An absent label is `always`. */
export function parsePolicy(text: string): Policy | undefined {
  const [name, bound] = text.split(":");
  const policy = name === "" ? "always" : restartPolicies.find((known) => known === name);
  if (policy === undefined) return undefined;
  if (bound === undefined) return { name: policy, attemptsMax: 0 };
  const attemptsMax = parseInteger(bound);
  return policy === "on-failure" && attemptsMax !== undefined ? { name: policy, attemptsMax } : undefined;
}

/** A whole number as Go's strconv.Atoi reads it. */
export function parseInteger(text: string): number | undefined {
  const number = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(number) ? number : undefined;
}

const truths: ReadonlySet<string | undefined> = new Set(["1", "t", "T", "TRUE", "true", "True"]);

export const isExplicitlyStopped = (labels: Labels): boolean => truths.has(labels[explicitlyStoppedLabel]);

/** What the labels ask for; two sets of labels that ask for the same have equal wishes. */
export function wishOf(labels: Labels): string {
  return JSON.stringify([labels[statusLabel], labels[policyLabel], isExplicitlyStopped(labels)]);
}
