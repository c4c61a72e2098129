/** What ctr has that no script uses, with the reason. An entry is a sub-command, or a flag of one, or of any as `*`. */

export interface LeftOut {
  readonly reason: string;
  readonly entries: readonly string[];
  /** Debian 13's ctr has them, Debian 12's has not. */
  readonly newer?: true;
}

const checkpoints = "checkpoints have tests of their own, with a runtime that takes them";
const registry = "is between ctr and a registry; the daemon has no part in it";
const hardware = "needs what is not on every machine";
const transfer = "has ctr ask the transfer service, which shiplog does not have";
const sandboxes = "needs the sandbox services, which shiplog does not have";

export const leftOut: readonly LeftOut[] = [
  {
    reason: "asks the profiler of Go for what is only in programs that are written in Go",
    entries: [
      ...["pprof --debug-socket", "pprof block", "pprof goroutines", "pprof heap", "pprof threadcreate"],
      ...["pprof profile", "pprof profile --seconds", "pprof trace", "pprof trace --seconds"],
    ],
  },
  {
    reason: "the same",
    newer: true,
    entries: ["block", "goroutines", "heap", "threadcreate", "profile", "trace"].map((kind) => `pprof ${kind} --debug`),
  },
  { reason: checkpoints, entries: ["tasks checkpoint", "tasks checkpoint --exit", "tasks checkpoint --image-path"] },
  { reason: checkpoints, entries: ["tasks checkpoint --work-path", "containers checkpoint", "containers restore"] },
  { reason: checkpoints, entries: ["containers checkpoint --rw", "containers checkpoint --image"] },
  {
    reason: checkpoints,
    entries: ["containers checkpoint --task", "containers restore --rw", "containers restore --live"],
  },
  {
    reason: registry,
    entries: [
      ...["* --user", "* --refresh", "* --hosts-dir", "* --tlscacert", "* --tlscert", "* --tlskey"],
      ...["* --http-dump", "* --http-trace", "* --skip-verify", "* --plain-http"],
    ],
  },
  { reason: "is used by every script", entries: ["events"] },
  {
    reason: hardware,
    entries: ["run --cni", "containers create --apparmor-default-profile", "run --apparmor-default-profile"],
  },
  {
    reason: hardware,
    newer: true,
    entries: ["run", "containers create"].flatMap((command) => [
      `${command} --blockio-class`,
      `${command} --blockio-config-file`,
    ]),
  },
  {
    reason: "ctr 1.6 dies when it has opened the files, or looks for a terminal of its own",
    entries: ["stdin", "stdout", "stderr", "tty", "attach"].map((flag) => `shim exec --${flag}`),
  },
  {
    reason: transfer,
    newer: true,
    entries: ["pull", "push", "import", "export", "tag"].map((each) => `images ${each} --local`),
  },
  {
    reason: sandboxes,
    newer: true,
    entries: [
      ...["sandboxes list", "sandboxes list --filters", "sandboxes remove", "sandboxes remove --force"],
      ...["sandboxes run", "sandboxes run --runtime", "run --sandbox", "containers create --sandbox"],
    ],
  },
];
