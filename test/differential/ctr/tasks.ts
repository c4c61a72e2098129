/** A task's life from its start to its deletion, by each sub-command and flag, and by the shim itself. */
import { execSeen, plain, type Script, type ScriptStep, type Setting, shell, terminal } from "./step.ts";

export const tasks: Script = { name: "tasks", steps };

function steps({ image, directory, fifos }: Setting): readonly ScriptStep[] {
  const { name } = image;
  const task = (...args: readonly string[]) => plain("tasks", ...args);
  const exec = (id: string, ...args: readonly string[]) => task("exec", "--fifo-dir", fifos, "--exec-id", id, ...args);
  const ended: ScriptStep = { command: ["tasks", "ls"], until: "STOPPED" };
  const started = (id: string, ...command: readonly string[]): readonly ScriptStep[] => [
    plain("containers", "create", "--", name, id, ...command),
    task("start", "--detach", "--null-io", id),
  ];
  const told = "trap 'echo told; exit 5' WINCH; while :; do sleep 0.05; done";
  return [
    plain("images", "import", image.archive),
    plain("containers", "create", name, "shown", "ls", "/etc"),
    task("start", "--fifo-dir", fifos, "shown"),
    task("ls"),
    task("start", "--log-uri", `file://${directory}/started.log`, "shown"),
    shell("cat started.log"),
    plain("containers", "create", name, "sleeper", "sleep", "1000"),
    task("start", "--detach", "--null-io", "--pid-file", `${directory}/pid`, "sleeper"),
    shell("test -d /proc/$(cat pid) && echo runs"),
    task("start", "--detach", "--null-io", "sleeper"),
    task("start", "nothing"),
    task("start"),
    { command: ["tasks", "start", "--no-pivot", "sleeper"], newer: true },

    execSeen(`--fifo-dir ${fifos} --cwd /tmp`, "first", "sleeper", "ls /proc/self/cwd/../etc"),
    execSeen(`--fifo-dir ${fifos} --user 1:2`, "user", "sleeper", "id -u; id -g"),
    execSeen(`--fifo-dir ${fifos} --user root`, "name", "sleeper", "id -u"),
    exec("nobody", "--user", "nobody-there", "sleeper", "true"),
    exec("nowhere", "--cwd", "/nowhere", "sleeper", "true"),
    task("exec", "--exec-id", "logged", "--log-uri", `file://${directory}/exec.log`, "sleeper", "echo", "logged"),
    shell("cat exec.log"),
    exec("both", "--log-uri", "file:///nowhere", "sleeper", "true"),
    exec("first", "nothing", "true"),
    exec("empty", "sleeper"),
    terminal(`ctr tasks exec --tty --fifo-dir ${fifos} --exec-id terminal sleeper`, "terminal"),
    shell(`printf 'from outside' | ctr tasks exec --fifo-dir ${fifos} --exec-id input sleeper cat`),
    task(
      "exec",
      "--detach",
      "--exec-id",
      "left",
      "--log-uri",
      `file://${directory}/left.log`,
      "sleeper",
      "sleep",
      "1000",
    ),
    { ...task("ps", "sleeper"), unordered: true },
    task("delete", "--exec-id", "left", "sleeper"),
    task("kill", "--exec-id", "left", "--signal", "9", "sleeper"),
    task("kill", "--exec-id", "nothing", "sleeper"),
    shell("while ctr tasks delete --exec-id left sleeper 2>&1 | grep -q 'must be stopped'; do sleep 0.05; done"),
    task("delete", "--exec-id", "left", "sleeper"),

    shell("ctr tasks metrics --format json sleeper | grep -oE '\"(cpu|memory|pids|limit)\":' | sort -u"),
    task("metrics", "--format", "table", "sleeper"),
    task("metrics", "--format", "nonsense", "sleeper"),
    task("metrics", "nothing"),
    task("pause", "nothing"),
    task("resume", "nothing"),
    task("pause", "sleeper"),
    task("pause", "sleeper"),
    { ...task("ps", "sleeper"), unordered: true },
    task("metrics", "nothing"),
    task("kill", "--signal", "USR1", "sleeper"),
    task("delete", "sleeper"),
    task("resume", "sleeper"),
    task("kill", "--signal", "NONSENSE", "sleeper"),
    task("kill", "--signal", "99", "sleeper"),
    task("kill", "nothing"),
    task("kill"),
    task("delete", "sleeper", "nothing"),
    task("delete", "--force", "sleeper"),
    task("ls"),
    ...started("several", "sh", "-c", "sleep 1000 & sleep 1000"),
    task("kill", "--all", "--signal", "KILL", "several"),
    ended,
    task("delete", "several"),
    ...started("stops", "sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.05; done"),
    shell("until [ $(ctr tasks ps stops | wc -l) = 3 ]; do sleep 0.02; done; ctr tasks kill stops"),
    ended,
    task("delete", "stops"),

    plain("run", "--detach", "--fifo-dir", fifos, name, "attached", "sh", "-c", told),
    shell(
      "ctr tasks attach attached & p=$!; while kill -WINCH $p 2>/dev/null; do sleep 0.05; done; wait $p; echo ended with $?",
    ),
    task("attach", "nothing"),
    task("attach"),
    task("ls", "--quiet"),
    task("delete", "attached"),

    ...started("direct", "sleep", "1000"),
    { ...shell('ctr shim --id direct state | sed \'s/"pid": [0-9]*/"pid": PID/\''), unordered: true },
    plain("shim", "--id", "nothing", "state"),
    plain("shim", "state"),
    shell('cat >process.json <<\'END\'\n{"args":["echo","direct"],"cwd":"/","user":{"uid":0,"gid":0}}\nEND'),
    // ctr takes the process's name for the container's here.
    plain(
      ...["shim", "--id", "direct", "exec", "--cwd", "/", "--env", "A=1"],
      ...["--spec", `${directory}/process.json`, "beside"],
    ),
    plain("shim", "--id", "direct", "start", "beside"),
    plain("shim", "--id", "direct", "delete", "beside"),
    plain("shim", "--id", "direct", "delete"),
    plain("shim", "--id", "direct", "start"),
    task("ls"),
    task("kill", "--signal", "KILL", "direct"),
    ended,
    plain("shim", "--id", "direct", "delete", "direct"),
    {
      ...task("ls"),
      differs: {
        reason: "shiplog asks no shim for what it has on record: the task is there to delete",
        lines: /^direct /,
      },
    },
    shell("ctr tasks delete direct >/dev/null 2>&1; true"),
    task("ls"),
    plain("containers", "rm", "shown", "sleeper", "several", "stops", "attached", "direct"),
    plain("containers", "ls"),
    plain("snapshots", "ls"),
  ];
}
