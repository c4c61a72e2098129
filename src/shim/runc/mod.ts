/** The OCI runtime, runc or crun, called as a command. */
export { RuncFailed } from "./command.ts";
export { endRuntimesOf } from "./left-running.ts";
export { type Making, type RestoreFrom, Runc, runcDeadlineMs, type RuncOptions } from "./runc.ts";
