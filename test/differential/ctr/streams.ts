/** Standard streams: FIFOs whose clients leave and come back, a terminal and its size, files, and programs that take logs. */
import { snapshots } from "../../../src/wire/mod.ts";
import { act, plain, type Setting, shell, type Step } from "./step.ts";

/** A task that is not started, on the snapshot of its container. */
export const created = (id: string, streams: object = {}) =>
  act(`${id} is created`, async (scene) => {
    const { mounts: rootfs } = await scene
      .service(snapshots.SnapshotsDefinition)
      .mounts({ snapshotter: "overlayfs", key: id });
    return scene.tasks.create({ containerId: id, rootfs, ...streams });
  });

/** A task whose streams are FIFOs `ID-in` and `ID-out` of the script's directory, with a reader at the second. */
export function onFifos({ image, directory }: Setting, id: string, terminal: boolean, line: string): readonly Step[] {
  const out = `${directory}/${id}-out`;
  const flags = [...(terminal ? ["--tty"] : []), "--mount", `type=bind,src=${directory},dst=/host,options=rbind:ro`];
  return [
    // `containers create` takes a `-c` for a flag of its own.
    shell(`echo '${line}' >${id}.sh; mkfifo ${id}-in ${id}-out`),
    plain("containers", "create", ...flags, image.name, id, "sh", `/host/${id}.sh`),
    act(`${id} is read`, (scene) => scene.read(`${id}-out`)),
    created(id, { stdin: `${directory}/${id}-in`, stdout: out, stderr: terminal ? "" : out, terminal }),
    act(`${id} is started`, ({ tasks }) => tasks.start({ containerId: id })),
  ];
}

/** Does on a terminal what it is told there. */
export const interpreter = 'stty -echo; echo ready; while read line; do eval "$line"; done';

/** A client that opens the FIFO, writes, and is gone. */
export const types = (id: string, text: string) => shell(`echo '${text}' >${id}-in`);

export const says = (id: string, text: string) => act(`${id} says ${text}`, (scene) => scene.said(`${id}-out`, text));

export const resized = (id: string, width: number, height: number) =>
  act(`${id} is resized to ${width} by ${height}`, ({ tasks }) => tasks.resizePty({ containerId: id, width, height }));

/** Takes a log as containerd hands it over; what it was given is in files that are named after it. */
const logger = `cat >logger <<'END'
#!/bin/sh
trap '' TERM
cd "\${0%/*}"
env | grep ^CONTAINER_ | sort >$2.given
echo "$@" >>$2.given
exec 5>&-
cat <&3 >$2.out &
cat <&4 >$2.err &
wait
touch $2.done
END
chmod +x logger`;

const logged = (id: string) =>
  shell(`until [ -e ${id}.done ]; do sleep 0.02; done; cat ${id}.given; cat ${id}.out; cat ${id}.err`);

export function streams(setting: Setting): readonly Step[] {
  const { image, directory, fifos } = setting;
  const { name } = image;
  const both = ["sh", "-c", "echo out; echo err >&2; exit 3"];
  // containerd's shim may lose what is on standard error when the end of standard output closes their one file first.
  const seen = ["sh", "-c", "echo out; echo err >&2; read x </host/go; exit 3"];
  const mount = ["--mount", `type=bind,src=${directory},dst=/host,options=rbind:ro`];
  const run = (id: string, log: string, ...command: readonly string[]) =>
    plain("run", "--detach", ...mount, "--log-uri", log, name, id, ...command);
  return [
    ...onFifos(setting, "screen", true, interpreter),
    says("screen", "ready\r\n"),
    resized("screen", 101, 33),
    types("screen", "stty size"),
    says("screen", "33 101\r\n"),
    resized("screen", 50, 12),
    types("screen", "stty size; test -t 0 && echo a terminal"),
    says("screen", "a terminal\r\n"),
    act("its reader leaves", (scene) => scene.leave("screen-out")),
    types("screen", "echo to nobody"),
    act("its reader comes back", (scene) => scene.read("screen-out")),
    says("screen", "to nobody\r\n"),
    act("state of screen", ({ tasks }) => tasks.get({ containerId: "screen" })),
    types("screen", "seq 300; exit 5"),
    says("screen", "299\r\n300\r\n"),
    act("wait for screen", ({ tasks }) => tasks.wait({ containerId: "screen" })),
    resized("screen", 10, 10),
    plain("tasks", "delete", "screen"),
    plain("containers", "rm", "screen"),

    ...onFifos(setting, "pipe", false, "cat; echo the end; exit 6"),
    types("pipe", "one"),
    says("pipe", "one\n"),
    resized("pipe", 10, 10),
    types("pipe", "two"),
    says("pipe", "two\n"),
    act("its reader leaves", (scene) => scene.leave("pipe-out")),
    types("pipe", "three"),
    act("its reader comes back", (scene) => scene.read("pipe-out")),
    says("pipe", "three\n"),
    // Ends at the latest when the script's directory is removed.
    shell(
      "(exec 9>pipe-in; echo held >&9; while [ -e pipe-in ] && [ ! -e let-go ]; do sleep 0.02; done) >/dev/null 2>&1 &",
    ),
    says("pipe", "held\n"),
    act("its input is closed", ({ tasks }) => tasks.closeIO({ containerId: "pipe", stdin: true })),
    act("its input is closed again", ({ tasks }) => tasks.closeIO({ containerId: "pipe", stdin: true })),
    shell("touch let-go"),
    says("pipe", "the end\n"),
    act("wait for pipe", ({ tasks }) => tasks.wait({ containerId: "pipe" })),
    plain("tasks", "delete", "pipe"),
    plain("containers", "rm", "pipe"),

    shell(logger),
    plain("run", "--rm", "--log-uri", `binary://${directory}/logger?of=first`, name, "binary", ...both),
    logged("first"),
    plain("run", "--rm", "--log-uri", "binary:///nowhere/logger", name, "binary", ...both),
    plain("run", "--rm", "--log-uri", "nonsense:///x", name, "binary", ...both),
    shell("mkfifo go"),
    run("file", `file://${directory}/deep/down/both.log`, ...seen),
    shell("until [ $(wc -l <deep/down/both.log) = 2 ]; do sleep 0.02; done; sort deep/down/both.log; echo >go"),
    act("wait for file", ({ tasks }) => tasks.wait({ containerId: "file" })),
    shell("stat -c %a deep deep/down deep/down/both.log"),
    plain("tasks", "delete", "file"),
    run("host", `file://${directory}/host.log`, "sleep", "1000"),
    plain("tasks", "exec", "--exec-id", "b", "--log-uri", `binary://${directory}/logger?of=second`, "host", ...both),
    logged("second"),
    plain("tasks", "exec", "--detach", "--exec-id", "f", "--log-uri", `file://${directory}/host.log`, "host", ...seen),
    shell("until [ $(wc -l <host.log) = 2 ]; do sleep 0.02; done; sort host.log; echo >go"),
    act("wait for f", ({ tasks }) => tasks.wait({ containerId: "host", execId: "f" })),
    act("its end is told", (scene) => scene.told(/\/tasks\/exit .*"id":"f"/)),
    plain("tasks", "exec", "--exec-id", "n", "--log-uri", "binary:///nowhere/logger", "host", "true"),
    shell(`printf 'a\\nb\\n' | ctr tasks exec --fifo-dir ${fifos} --exec-id lines host wc -l`),
    plain("tasks", "delete", "--force", "host"),
    plain("containers", "rm", "file", "host"),
  ];
}
