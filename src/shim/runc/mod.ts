/** The OCI runtime, runc or crun, called as a command. */
export { endRuntimesOf } from "./left-running.ts";
export { type Making, type RestoreFrom, Runc, type RuncOptions } from "./runc.ts";
