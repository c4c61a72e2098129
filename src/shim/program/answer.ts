/**
 * The answer of `start`, and letting go of whoever waited for it.
 *
 * The launcher (bin/containerd-shim-shiplog-v1) gives the process that is to be the shim a pipe as standard output and error, and takes only what
 * comes after the mark for an answer: a stray warning never gets into an address, and text without a mark is the reason of a failure.
 */
import { closeSync, constants, openSync, writeSync } from "node:fs";
import { replaceDescriptor } from "../../platform/mod.ts";

/** The launcher has the same. */
const mark = "\nshiplog-shim-answer:";

/** Version of the task service that is spoken at the address, as version-2 daemons expect it without being told. */
export const taskVersion = 2;

/** The newest version that is spoken, told to those that ask for it. */
const taskVersionMax = 3;

/** As containerd's shims answer: the bare address, or JSON where the daemon knows more than version 2 (MAX_SHIM_VERSION). */
export function answerText(address: string, maxShimVersion: string | undefined): string {
  const known = Number(maxShimVersion ?? taskVersion);
  if (!Number.isInteger(known) || known <= taskVersion) return address;
  return JSON.stringify({ version: Math.min(known, taskVersionMax), address, protocol: "ttrpc" });
}

/** Gives the answer. @throws Error, EPIPE when nobody waits for it any more */
export function answer(text: string): void {
  const bytes = Buffer.from(mark + text);
  for (let written = 0; written < bytes.length; ) written += writeSync(1, bytes, written);
}

/** Lets go of the caller's streams: nobody waits for their end any more. What the engine itself may say in its last moments goes to the log. */
export function releaseStreams(log: number | undefined): void {
  const nothing = openSync("/dev/null", constants.O_RDWR);
  replaceDescriptor(0, nothing);
  replaceDescriptor(1, nothing);
  replaceDescriptor(2, log ?? nothing);
  closeSync(nothing);
}
