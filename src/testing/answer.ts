/** What a runtime says to one command: the class of its error, or OK, and what it replied as plain data. Owns the names of the classes. */
import { status } from "@grpc/grpc-js";

/** `OK`, or one of containerd's error classes, as `NotFound`. */
export type Code = string;

export interface Answer {
  readonly code: Code;
  /** What is compared of the reply; absent where only the class counts. */
  readonly value?: unknown;
  /** For people: the runtime's own words. Never compared. */
  readonly message?: string;
}

export const ok: Answer = { code: "OK" };

/** The class of a gRPC code, named as containerd's errdefs and this project's `ErrorClass` name it. */
export function codeName(code: number): Code {
  const name = status[code] ?? "UNKNOWN";
  if (name === "OK") return name;
  return name
    .split("_")
    .map((word) => word.charAt(0) + word.slice(1).toLowerCase())
    .join("");
}

/** A failed call as an answer. @throws the error itself when it is none of gRPC's */
export function refusalOf(error: unknown): Answer {
  const { code, details } = error as { readonly code?: unknown; readonly details?: unknown };
  if (typeof code !== "number") throw error;
  return { code: codeName(code), message: String(details) };
}
