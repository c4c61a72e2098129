/** Event descriptors (eventfd(2)): a counter that the kernel raises and a poll sees. Owns no descriptor: who opens one closes it. */
import { readSync } from "node:fs";
import { errorCode } from "./errno.ts";
import { kernelCall, libc } from "./kernel.ts";
import { type OperationHook, proceed } from "./operation.ts";

const eventfdCall = libc.func("int eventfd(unsigned int, int)");
const EFD_NONBLOCK = 0o4000;
const EFD_CLOEXEC = 0o2000000;

/** A new event descriptor at zero, which no child inherits. Close it with node:fs. @throws KernelError */
export function openEventfd(hook: OperationHook = proceed): number {
  return kernelCall("eventfd", hook, {}, () => eventfdCall(0, EFD_NONBLOCK | EFD_CLOEXEC));
}

/** What was added since the last time; zero when nothing was. Never waits. @throws errors of node:fs */
export function takeEvents(descriptor: number, hook: OperationHook = proceed): bigint {
  hook("eventfd.read");
  const counter = Buffer.alloc(8);
  try {
    readSync(descriptor, counter);
  } catch (thrown) {
    if (errorCode(thrown) === "EAGAIN") return 0n;
    throw thrown;
  }
  return counter.readBigUInt64LE();
}
