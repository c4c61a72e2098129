/**
 * What the model's containers and the processes executed in them run: a sleep that nothing but a signal ends, or a program that is not there.
 */

/** A program that no root directory has. */
export const missing = "/missing";

const names = {
  spec: "types.containerd.io/opencontainers/runtime-spec/1/Spec",
  process: "types.containerd.io/opencontainers/runtime-spec/1/Process",
};

const processOf = (program: string) => ({
  user: { uid: 0, gid: 0 },
  args: program === "" ? ["sleep", "1000"] : [program],
  env: ["PATH=/bin"],
  cwd: "/",
  terminal: false,
  noNewPrivileges: true,
});

const spec = {
  ociVersion: "1.0.2",
  root: { path: "rootfs" },
  mounts: [
    { destination: "/proc", type: "proc", source: "proc" },
    { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755", "size=65536k"] },
  ],
};

/** A container's, in the cgroup at this path; without a program it sleeps. */
export function runningSpec(cgroupsPath: string, program = "") {
  const linux = { cgroupsPath, namespaces: ["pid", "ipc", "uts", "mount", "network"].map((type) => ({ type })) };
  return { typeUrl: names.spec, value: Buffer.from(JSON.stringify({ ...spec, process: processOf(program), linux })) };
}

/** That of a process beside it. */
export const processSpec = (program = "") => ({
  typeUrl: names.process,
  value: Buffer.from(JSON.stringify(processOf(program))),
});

/** Whether what has this spec cannot run. */
export const isMissing = (spec: { readonly value: Uint8Array } | null): boolean =>
  spec !== null && Buffer.from(spec.value).includes(missing);
