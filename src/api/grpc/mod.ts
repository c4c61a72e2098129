/**
 * The public face of the transport.
 */
export { CONNECTIONS_MAX } from "./connections.ts";
export type { Fault, OnFault } from "./method.ts";
export { GrpcServer, type GrpcServerOptions, MESSAGE_BYTES_MAX } from "./server.ts";
export { removeStale, SOCKET_PATH_BYTES_MAX, type SocketOptions } from "./socket.ts";
export { answered } from "./remote.ts";
