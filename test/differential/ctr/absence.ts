/** The daemon is away for a while: what runs goes on, what ends is found to have ended, and everything can be done to it as before. */
import { readFile, writeFile } from "node:fs/promises";
import type { ServiceError } from "@grpc/grpc-js";
import { eventually } from "../../harness/eventually.ts";
import { created, interpreter, onFifos, resized, says, types } from "./streams.ts";
import { act, execSeen, plain, type Setting, shell, type Step } from "./step.ts";

export function absence(setting: Setting, signal: "SIGTERM" | "SIGKILL"): readonly Step[] {
  const { image, directory, fifos } = setting;
  const { name } = image;
  const task = (...args: readonly string[]) => plain("tasks", ...args);
  const ofRound = (id: string) => `${id}-${signal.toLowerCase()}`;
  const steady = ofRound("steady");
  const leaver = ofRound("leaver");
  const still = ofRound("still");
  const made = ofRound("made");
  const gone = ofRound("gone");
  const screen = ofRound("screen");
  const guest = ofRound("guest");
  const visitor = ofRound("visitor");
  const flags = `${directory}/${ofRound("flags")}`;
  const until = (flag: string) => `read x </flags/${flag}`;
  const raised = (...names: readonly string[]) => shell(names.map((name) => `echo >${flags}/${name}`).join("; "));
  const run = (...rest: readonly string[]) =>
    plain("run", "--detach", "--mount", `type=bind,src=${flags},dst=/flags,options=rbind:ro`, ...rest);
  const log = (id: string) => ["--log-uri", `file://${directory}/${id}.log`];
  const logged = (id: string, line: string) =>
    shell(`until grep -qx '${line}' ${id}.log; do sleep 0.02; done; cat ${id}.log`);
  const exec = (id: string, line: string) =>
    task("exec", "--detach", "--exec-id", id, ...log(id), steady, "sh", "-c", line);
  const state = (containerId: string, execId = "") =>
    act(`state of ${[containerId, execId].join(" ")}`, ({ tasks }) => tasks.get({ containerId, execId }));
  /** Its shim's events come on their own time. */
  const toldOf = (topic: "exit" | "delete", id: string) =>
    act(`/tasks/${topic} of ${id} is told`, (scene) => scene.told(new RegExp(`/tasks/${topic} .*"${id}"`)));
  const waited = (containerId: string, execId = "") =>
    act(`wait for ${[containerId, execId].join(" ")}`, ({ tasks }) => tasks.wait({ containerId, execId }));
  return [
    shell(`mkdir ${flags}; cd ${flags}; mkfifo line-1 line-2 line-3 leave leave-too part end`),
    run(
      ...log(steady),
      name,
      steady,
      "sh",
      "-c",
      `for n in 1 2 3; do ${until("line-$n")}; echo line $n; done; ${until("end")}; exit 9`,
    ),
    run(...log(leaver), name, leaver, "sh", "-c", `${until("leave")}; echo left; exit 7`),
    run("--null-io", name, still, "sleep", "1000"),
    run("--null-io", name, gone, "sh", "-c", "exit 11"),
    waited(gone),
    toldOf("exit", gone),
    ...onFifos(setting, screen, true, interpreter),
    says(screen, "ready\r\n"),
    plain("containers", "create", name, made, "false"),
    created(made),
    raised("line-1"),
    logged(steady, "line 1"),
    exec(guest, `${until("leave-too")}; echo left; exit 8`),
    exec(visitor, `${until("part")}; exit 6`),
    task("pause", still),
    { ...task("ls"), unordered: true },
    act("the pids of those who will end are noted", async ({ tasks, kept }) => {
      const ofLeaver = await tasks.get({ containerId: leaver });
      const ofGuest = await tasks.get({ containerId: steady, execId: guest });
      kept.set("leaving", [ofLeaver.process!.pid, ofGuest.process!.pid]);
    }),
    act("one begins to wait for steady", ({ tasks, kept }) => {
      const told = tasks.wait({ containerId: steady }).then(
        () => "OK",
        ({ code }: ServiceError) => code,
      );
      kept.set("told", told);
    }),
    act(`the daemon is ended by ${signal}`, (scene) => scene.endDaemon(signal)),
    raised("leave", "leave-too", "line-2"),
    logged(leaver, "left"),
    logged(guest, "left"),
    logged(steady, "line 2"),
    types(screen, "echo while the daemon is away"),
    says(screen, "while the daemon is away\r\n"),
    act("they have ended", ({ kept }) =>
      eventually("they have ended", async () => {
        const there = await Promise.all((kept.get("leaving") as number[]).map(isThere));
        return there.includes(true) ? undefined : "ended";
      }),
    ),
    act("the status that the one is told", ({ kept }) => kept.get("told")),
    act("the daemon is back", (scene) => scene.startDaemon()),

    { ...task("ls"), unordered: true },
    ...[steady, leaver, still, made, gone, screen].map((id) => state(id)),
    state(steady, guest),
    state(steady, visitor),
    { ...task("ps", steady), unordered: true },
    waited(leaver),
    waited(leaver),
    waited(steady, guest),
    task("delete", leaver),
    // Its shim may have waited to tell of its end, and tells everything in order.
    toldOf("delete", leaver),
    waited(leaver),
    task("delete", gone),
    task("delete", "--exec-id", guest, steady),
    task("delete", "--exec-id", visitor, steady),
    raised("part"),
    waited(steady, visitor),
    toldOf("exit", visitor),
    task("delete", "--exec-id", visitor, steady),
    execSeen(`--fifo-dir ${fifos}`, ofRound("newcomer"), steady, "echo a newcomer"),
    raised("line-3"),
    logged(steady, "line 3"),
    resized(screen, 90, 20),
    types(screen, "stty size; exit 4"),
    says(screen, "20 90\r\n"),
    waited(screen),
    toldOf("exit", screen),
    task("delete", screen),
    task("exec", "--exec-id", "e", still, "true"),
    task("resume", still),
    task("kill", "--signal", "TERM", still),
    task("delete", "--force", still),
    act("the one that was made is started", ({ tasks }) => tasks.start({ containerId: made })),
    waited(made),
    toldOf("exit", made),
    task("delete", made),
    act("wait for steady while it ends", async ({ tasks }) => {
      const wait = tasks.wait({ containerId: steady });
      await writeFile(`${flags}/end`, "\n");
      return wait;
    }),
    toldOf("exit", steady),
    task("delete", steady),
    shell(`cat ${steady}.log ${leaver}.log ${guest}.log; cat ${visitor}.log`),
    plain("containers", "rm", steady, leaver, still, made, gone, screen),
    plain("tasks", "ls"),
  ];
}

async function isThere(pid: number): Promise<boolean> {
  return (await readFile(`/proc/${pid}/stat`).catch(() => undefined)) !== undefined;
}
