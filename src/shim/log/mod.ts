/**
 * The shim's log formatters: a process's output as Docker's json-file or Kubernetes' CRI logs, in files that are rotated, compressed and reopened.
 * The formats, the options and what is guaranteed are in docs/formats/container-logs.md.
 */
export { type FormattedLog, type LogContext, openFormattedLog } from "./formatted-log.ts";
export { isFormattedLog } from "./log-scheme.ts";
export type { LogLoss } from "./loss-report.ts";
export type { LogStream } from "./record-encoder.ts";
