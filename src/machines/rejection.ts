/** How rejections are worded: containerd's errors end in the text of their class, by which its clients rebuild the typed error. */
import type { ErrorClass } from "../error.ts";
import type { Rejection } from "./decider.ts";

/** errdefs/errors.go: the texts of the classes that deciders use. */
const classTexts = {
  InvalidArgument: "invalid argument",
  NotFound: "not found",
  AlreadyExists: "already exists",
  FailedPrecondition: "failed precondition",
  Unknown: "unknown",
} as const satisfies Partial<Record<ErrorClass, string>>;

/** A rejection whose message is `said` and the text of the class. */
export function rejection(rejected: keyof typeof classTexts, reason: string, said: string): Rejection {
  return { rejected, reason, message: `${said}: ${classTexts[rejected]}` };
}

export { quoted } from "./quoted.ts";
