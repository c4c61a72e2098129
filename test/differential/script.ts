/** The script of `ctr` commands that both daemons run, and what of the output is allowed to differ. */

export interface ScriptStep {
  readonly args: readonly string[];
  /** Runs before the next step until its output (ids and times aside) contains this: for what happens on its own time. */
  readonly until?: string;
  /** Rows that only one daemon can have, by name and reason; matching lines are left out on both sides. */
  /** The order of the lines says nothing. */
  readonly unordered?: true;
  readonly differs?: { readonly reason: string; readonly lines: RegExp };
}

export interface ScriptImage {
  readonly name: string;
  readonly archive: string;
  readonly manifest: string;
  readonly layer: string;
  readonly fifos: string;
  readonly namespace: string;
}

export function script({ name, archive, manifest, layer, fifos, namespace }: ScriptImage): readonly ScriptStep[] {
  const run = (...args: readonly string[]): ScriptStep => ({ args: ["run", "--fifo-dir", fifos, ...args] });
  const tasks = (...args: readonly string[]): ScriptStep => ({ args: ["tasks", ...args] });
  const plain = (...args: readonly string[]): ScriptStep => ({ args });
  const missing = `sha256:${"0".repeat(64)}`;
  return [
    {
      args: ["version"],
      differs: {
        reason: "each names its own version",
        lines: /^ *(Version|Revision|UUID|Go version):|^WARNING: (version|revision) mismatch/,
      },
    },
    plain("images", "import", archive),
    plain("images", "ls"),
    plain("images", "ls", "-q"),
    plain("images", "check"),
    plain("content", "ls", "-q"),
    plain("content", "ls"),
    plain("content", "get", manifest),
    plain("content", "active"),
    plain("snapshots", "ls"),
    plain("snapshots", "tree"),
    plain("snapshots", "usage"),
    plain("leases", "ls"),
    run("--rm", name, "hello", "echo", "hello"),
    run("--rm", name, "three", "sh", "-c", "echo out; echo err >&2; exit 3"),
    run("--rm", name, "motd", "cat", "/etc/motd", "/etc/removed"),
    run("--rm", name, "nothing", "/bin/nothing-there"),
    run("--rm", "--snapshotter", "native", name, "native", "echo", "native"),
    run("--rm", "--read-only", name, "readonly", "touch", "/x"),
    run("--rm", "--env", "GREETING=hi", "--cwd", "/tmp", name, "environment", "sh", "-c", "echo $GREETING; pwd"),
    run("-d", "--null-io", name, "sleeper", "sleep", "1000"),
    run("-d", "--null-io", name, "sleeper", "sleep", "1000"),
    tasks("ls"),
    tasks("ls", "-q"),
    tasks("ps", "sleeper"),
    tasks("exec", "--fifo-dir", fifos, "--exec-id", "first", "sleeper", "echo", "from exec"),
    tasks("exec", "--fifo-dir", fifos, "--exec-id", "second", "sleeper", "sh", "-c", "exit 7"),
    tasks("exec", "--fifo-dir", fifos, "--exec-id", "third", "sleeper", "/bin/nothing-there"),
    tasks("exec", "--fifo-dir", fifos, "--exec-id", "bad id", "sleeper", "true"),
    tasks("pause", "sleeper"),
    tasks("ls"),
    tasks("exec", "--fifo-dir", fifos, "--exec-id", "fourth", "sleeper", "true"),
    tasks("resume", "sleeper"),
    tasks("resume", "sleeper"),
    tasks("metrics", "sleeper"),
    plain("containers", "ls"),
    plain("containers", "ls", "-q"),
    plain("containers", "ls", "id==sleeper"),
    plain("containers", "ls", "id!=sleeper"),
    plain("containers", "info", "sleeper"),
    plain("containers", "label", "sleeper", "colour=blue"),
    plain("containers", "ls", "labels.colour==blue"),
    plain("snapshots", "ls"),
    plain("snapshots", "info", "sleeper"),
    plain("snapshots", "rm", "nothing-there"),
    plain("containers", "rm", "sleeper"),
    tasks("rm", "sleeper"),
    tasks("start", "--null-io", "sleeper"),
    tasks("kill", "-s", "SIGKILL", "sleeper"),
    { args: ["tasks", "ls"], until: "STOPPED" },
    tasks("kill", "sleeper"),
    tasks("ps", "sleeper"),
    tasks("rm", "sleeper"),
    tasks("rm", "sleeper"),
    plain("containers", "rm", "sleeper"),
    plain("containers", "rm", "sleeper"),
    plain("containers", "info", "sleeper"),
    plain("containers", "create", name, "made"),
    plain("containers", "create", name, "made"),
    plain("containers", "ls"),
    plain("containers", "rm", "made"),
    plain("snapshots", "ls"),
    plain("snapshots", "prepare", "draft"),
    plain("snapshots", "mounts", "/mnt", "draft"),
    plain("snapshots", "prepare", "draft"),
    plain("snapshots", "view", "look", "draft"),
    plain("snapshots", "view", "look", "nothing-there"),
    plain("snapshots", "commit", "--label", "a=b", "base", "draft"),
    plain("snapshots", "commit", "base", "draft"),
    plain("snapshots", "view", "look", "base"),
    plain("snapshots", "rm", "base"),
    plain("snapshots", "commit", "other", "look"),
    plain("snapshots", "ls"),
    plain("snapshots", "label", "base", "a=", "c=d"),
    plain("snapshots", "info", "base"),
    plain("snapshots", "rm", "look"),
    plain("snapshots", "rm", "base"),
    plain("snapshots", "--snapshotter", "nothing-there", "ls"),
    plain("leases", "create", "--id", "held"),
    plain("leases", "create", "--id", "held"),
    plain("leases", "ls"),
    plain("leases", "rm", "held"),
    plain("leases", "rm", "held"),
    plain("namespaces", "ls"),
    plain("namespaces", "create", "other", "colour=red"),
    plain("namespaces", "create", "other"),
    plain("namespaces", "create", "bad--name"),
    plain("namespaces", "label", "other", "shape=round"),
    plain("namespaces", "ls"),
    plain("namespaces", "rm", "other"),
    plain("namespaces", "rm", namespace),
    plain("namespaces", "rm", "nothing-there"),
    plain("content", "label", manifest, "note=kept"),
    plain("content", "get", missing),
    plain("content", "get", "no-digest"),
    plain("content", "rm", missing),
    plain("content", "rm", layer),
    plain("images", "label", name, "colour=green"),
    plain("images", "ls", "labels.colour==green"),
    plain("images", "ls", "name=="),
    plain("images", "tag", name, "example.test/other:2"),
    plain("images", "tag", name, "example.test/other:2"),
    plain("images", "ls", "-q"),
    plain("images", "rm", "example.test/other:2"),
    plain("images", "rm", "example.test/nothing:1"),
    plain("images", "rm", name),
    plain("images", "ls", "-q"),
    {
      args: ["plugins", "ls"],
      unordered: true,
      differs: {
        reason: "containerd ships snapshotters and internals that shiplog does not have",
        lines:
          /aufs|blockfile|btrfs|devmapper|zfs|runtime\.v1|runtime\.v2 +shim|sandbox|nri|tracing|warning|io\.containerd\.(internal|service|monitor|event|gc|lease|metadata|differ)|streaming|transfer/,
      },
    },
  ];
}
