/** A small OCI runtime spec, as a client would store it with a container. */

const typeUrl = "types.containerd.io/opencontainers/runtime-spec/1/Spec";
const processTypeUrl = "types.containerd.io/opencontainers/runtime-spec/1/Process";

const processSpec = (args: readonly string[], terminal = false) => ({
  user: { uid: 0, gid: 0 },
  args,
  env: ["PATH=/bin"],
  cwd: "/",
  terminal,
  noNewPrivileges: true,
});

/** A spec whose root filesystem is the bundle's `rootfs` and whose process is `args`. */
export function runtimeSpec(args: readonly string[], options: { readonly terminal?: boolean; readonly cgroup?: string } = {}) {
  const spec = {
    ociVersion: "1.0.2",
    process: processSpec(args, options.terminal),
    root: { path: "rootfs" },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755", "size=65536k"] },
    ],
    linux: {
      ...(options.cgroup === undefined ? {} : { cgroupsPath: options.cgroup }),
      namespaces: ["pid", "ipc", "uts", "mount", "network"].map((type) => ({ type })),
    },
  };
  return { typeUrl, value: Buffer.from(JSON.stringify(spec)) };
}

/** The spec of a process that is executed in a running container. */
export const execSpec = (args: readonly string[]) => ({
  typeUrl: processTypeUrl,
  value: Buffer.from(JSON.stringify(processSpec(args))),
});
