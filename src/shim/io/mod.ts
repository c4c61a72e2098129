/**
 * The standard streams of containers' processes: null, FIFOs, files, loggers, formatted logs and terminals, as containerd's shim has them, and
 * so that a later shim can go on where one died.
 */
export { openStdio, resumeStdio } from "./open-stdio.ts";
export type { ProcessStdio, StdioLoss, StdioRequest, StdioUris } from "./stdio.ts";
