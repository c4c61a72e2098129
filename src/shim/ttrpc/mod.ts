/**
 * ttrpc, containerd's RPC between the daemon and its shims: calls and streams over a unix socket.
 *
 * Both sides speak it: the daemon calls shims and is called by them with their events. It knows no service by name; those
 * are the generated definitions of wire/.
 */
export { socketPathOfAddress } from "./address.ts";
export { type CallOptions, TtrpcClient } from "./client.ts";
export type { ClientStream } from "./client-stream.ts";
export type { CallContext, Peer } from "./connection.ts";
export { type CallStatus, StatusCode, TtrpcClosed, TtrpcError } from "./error.ts";
export { TtrpcServer, type TtrpcHandlers, type TtrpcServerOptions } from "./server.ts";
