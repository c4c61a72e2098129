/** The words that summaries of facts and of rows share. */
import type { Fields } from "./fields.ts";
import { shortDigest } from "./text.ts";

/** A few words about a payload or a row; may be empty. */
export type Summary = (fields: Fields) => string;

/** Parts of a summary, without the empty ones. */
export const joined = (...parts: string[]): string => parts.filter((part) => part !== "").join(" · ");

/** `name value`, or nothing. */
export const named = (name: string, value: string): string => (value === "" ? "" : `${name} ${value}`);

/** Every label, digests cut short. */
export const allLabels: Summary = (fields) => labelsOf(fields, () => true);

/** The labels that a person gave: containerd's own hold references and times for programs, and `--json` shows them. */
export const labels: Summary = (fields) => labelsOf(fields, (name) => !name.startsWith("containerd.io/"));

function labelsOf(fields: Fields, shown: (name: string) => boolean): string {
  const values = fields.under("labels");
  const names = values.names().filter(shown);
  return names.map((name) => `${name}=${shortDigest(values.text(name))}`).join(", ");
}
