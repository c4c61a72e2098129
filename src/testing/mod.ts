/**
 * `shiplog/testing`: a model of container lifecycles, derived from the project's own charts, that any runtime which speaks containerd's API
 * can be held against. docs/guides/test-a-runtime.md shows how, docs/reference/testing.md lists what there is.
 */
export type { Answer, Code } from "./answer.ts";
export { type Clients, clientsOf, killedClientsOf, NotLinearizable, runConcurrently } from "./concurrent.ts";
export {
  commandTypes,
  faultSequences,
  mixtures,
  recordTypes,
  sequenceOf,
  sequences,
  taskSequences,
  taskTypes,
} from "./arbitraries.ts";
export { check, type CheckOptions, ModelFailure, type Report } from "./check.ts";
export { Command, type CommandType, commandOf } from "./command.ts";
export { containerd16, containerd17, type Dialect, dialectOf, shiplog } from "./dialect.ts";
export { type Call, linearize } from "./linearize.ts";
export { Discrepancy } from "./discrepancy.ts";
export type { Endpoint, Session } from "./endpoint.ts";
export { inProcess } from "./in-process.ts";
export type { Faults } from "./remote/link.ts";
export { connect, type RemoteEndpoint, type RemoteOptions } from "./remote/endpoint.ts";
export { printScript, readScript } from "./script.ts";
export { type Run, runSequence } from "./sequence.ts";
export { runTogether } from "./together.ts";
export { factName, type Transition } from "./transition.ts";
export { type Deciders, World } from "./world.ts";
