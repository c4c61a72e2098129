/**
 * The public face of events: the log, its facts and its errors. The catalogue of facts has files of its own, imported by name.
 */
export { attachmentBytesMax } from "./attachments.ts";
export * from "./errors.ts";
export type { Data, Fact, NewFact, Position, Principal, Stated } from "./fact.ts";
export { framePayloadBytesMax } from "./frame.ts";
export { Log, type LogOptions, queueBytesMaxDefault, type ReadRange, segmentBytesDefault } from "./log.ts";
export { decodeData, encodeData, recordBytesMax } from "./record.ts";
export type { Recovered } from "./recovery.ts";
export { type Facts, type LogProblem, type LogReport, openFacts, verifyLog } from "./verification.ts";
