/**
 * The public face of platform: the only place that touches the kernel, the file system, the clock and randomness. Everything else goes
 * through what is exported here.
 */
export * from "./at.ts";
export * from "./cgroup.ts";
export * from "./clock.ts";
export * from "./clone-file.ts";
export * from "./descriptor.ts";
export * from "./descriptor-socket.ts";
export * from "./errno.ts";
export * from "./eventfd.ts";
export * from "./files.ts";
export * from "./ids.ts";
export * from "./lock.ts";
export * from "./loop.ts";
export * from "./mount.ts";
export * from "./mountinfo.ts";
export * from "./operation.ts";
export * from "./peer.ts";
export * from "./pipe.ts";
export * from "./poll.ts";
export * from "./process.ts";
export * from "./process-exit.ts";
export * from "./program.ts";
export * from "./reap.ts";
export * from "./self.ts";
export * from "./sha256.ts";
export * from "./sync.ts";
export * from "./terminal.ts";
export * from "./timeout.ts";
export * from "./xattr.ts";
