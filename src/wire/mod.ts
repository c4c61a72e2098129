/**
 * The public face of the wire: every message and service that the daemon speaks, generated from proto/.
 *
 * A service's messages are a namespace of their own, since many share names (`content.Info`, `snapshots.Info`); types that
 * services share are named one by one. Nothing here decides anything. A program that must start fast imports what it
 * needs from gen/ instead of this file, which loads everything.
 */
export { Descriptor } from "./gen/containerd/types/descriptor.ts";
export { Metric } from "./gen/containerd/types/metrics.ts";
export { Mount } from "./gen/containerd/types/mount.ts";
export { Platform } from "./gen/containerd/types/platform.ts";
export { Process, ProcessInfo, Status as TaskStatus } from "./gen/containerd/types/task/task.ts";
export { Any } from "./gen/google/protobuf/any.ts";
export { Empty } from "./gen/google/protobuf/empty.ts";
export { Timestamp } from "./gen/google/protobuf/timestamp.ts";
export { Status as RpcStatus } from "./gen/google/rpc/status.ts";

export * as containers from "./gen/containerd/services/containers/v1/containers.ts";
export * as content from "./gen/containerd/services/content/v1/content.ts";
export * as diff from "./gen/containerd/services/diff/v1/diff.ts";
export * as eventsTtrpc from "./gen/containerd/services/events/ttrpc/v1/events.ts";
export * as events from "./gen/containerd/services/events/v1/events.ts";
export * as images from "./gen/containerd/services/images/v1/images.ts";
export * as introspection from "./gen/containerd/services/introspection/v1/introspection.ts";
export * as leases from "./gen/containerd/services/leases/v1/leases.ts";
export * as namespaces from "./gen/containerd/services/namespaces/v1/namespace.ts";
export * as snapshots from "./gen/containerd/services/snapshots/v1/snapshots.ts";
export * as tasks from "./gen/containerd/services/tasks/v1/tasks.ts";
export * as version from "./gen/containerd/services/version/v1/version.ts";

export * as runc from "./gen/containerd/runc/v1/options.ts";
export * as shim from "./gen/containerd/task/v2/shim.ts";
export * as health from "./gen/grpc/health/v1/health.ts";
export * as collection from "./gen/shiplog/collection/v1/collection.ts";
export * as log from "./gen/shiplog/events/v1/log.ts";
export * as query from "./gen/shiplog/query/v1/query.ts";
export * as shiplogSnapshots from "./gen/shiplog/snapshots/v1/snapshots.ts";
export * as shiplogVolumes from "./gen/shiplog/snapshots/v1/volumes.ts";
export * as shiplogShim from "./gen/shiplog/shim/v1/shim.ts";

export * as payloads from "./payloads.ts";
export { payloadByTypeUrl } from "./payloads.ts";
export { timestampFromUnixNano, unixNanoFromTimestamp } from "./time.ts";
export type { MessageCodec, MethodDefinition, RequestOf, ResponseOf, ServiceDefinition } from "./definition.ts";
