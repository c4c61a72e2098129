/** One script on one daemon: what each command answered, and the events of all of them. */
import { execFile } from "node:child_process";
import { chmod, cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { ServiceError } from "@grpc/grpc-js";
import { type CtrResult, ctr } from "../../harness/ctr.ts";
import type { TestDaemon } from "../../harness/daemons.ts";
import { eventually } from "../../harness/eventually.ts";
import { buildImage, imageName } from "../../harness/image.ts";
import { Registry } from "../../harness/registry.ts";
import { removeRuncTraces } from "../../harness/runc-traces.ts";
import { runtimeSpec } from "../../harness/spec.ts";
import { plain } from "../plain.ts";
import { normalize } from "./normalize.ts";
import { Scene } from "./scene.ts";
import type { Act, Script, ScriptStep, Setting } from "./step.ts";

export interface Answer {
  /** The command, or the name of the act. */
  readonly command: string;
  /** The status of the command's exit, or of gRPC. */
  readonly code: number;
  readonly output: readonly string[];
  readonly errors: readonly string[];
}

export interface Performance {
  readonly answers: readonly Answer[];
  readonly events: readonly string[];
}

/** A line for the shell that takes longer has hung. */
const SHELL_MS_MAX = 60_000;

/** What all daemons of one test share: an image, built in the test's directory, and which ctr there is. */
export interface Stage {
  readonly directory: string;
  readonly built: Awaited<ReturnType<typeof buildImage>>;
  readonly newer: boolean;
}

export async function prepareStage(directory: string): Promise<Stage> {
  const built = await buildImage(directory);
  return { directory, built, newer: (await ctr("", "", ["--version"])).stdout.includes(" 1.7.") };
}

/** A daemon for the script alone: once a client has waited for a collection, containerd goes on collecting by itself. `as` names the daemon in namespaces. */
export async function performOn(
  t: TestContext,
  { directory, built, newer }: Stage,
  make: () => Promise<TestDaemon>,
  script: Script,
  as: string,
): Promise<Performance> {
  const daemon = await make();
  let scene: Scene | undefined;
  t.after(async () => {
    await scene?.close();
    await daemon.dispose();
  });
  const registry = await Registry.start();
  t.after(() => registry.close());
  const files = join(daemon.paths.directory, script.name);
  const setting: Setting = {
    image: { name: imageName, ...built },
    directory: files,
    shared: directory,
    fifos: join(files, "fifos"),
    // Of this run and daemon alone: runc keeps the states of all daemons in one place, by namespace.
    namespace: `script-${process.pid}-${script.name}-${as}`,
    registry: registry.host,
  };
  t.after(() => removeRuncTraces(setting.namespace));
  // Containers of other users have to find their root.
  await chmod(daemon.paths.directory, 0o711);
  await furnish(setting, join(directory, "base"));
  scene = await Scene.open(daemon, setting);
  return perform(script, scene, newer);
}

/** `newer` says whether ctr has what Debian 13's has. */
async function perform(script: Script, scene: Scene, newer: boolean): Promise<Performance> {
  const { daemon, setting } = scene;
  const tidy = (text: string) => normalize(text, { daemon: daemon.paths.directory, ...setting });
  const answers: Answer[] = [];
  for (const step of script.steps(setting)) {
    if ("act" in step) answers.push(await outcomeOf(step, scene, tidy));
    else if (newer || step.newer !== true) answers.push(await answerOf(step, scene, tidy, newer));
  }
  const seen = (await scene.end()).map(tidy);
  // Never twice, whoever is there to be told.
  const events = seen.filter((event, index) => !script.untold?.test(event) || seen.indexOf(event) !== index);
  // 1.7 tells of the snapshots that it collects, 1.6 and shiplog of those that clients remove; both are in the tests of collection.
  const compared = newer ? events.filter((event) => !event.includes(" /snapshot/remove ")) : events;
  // The kernel may tell of one kill more than once.
  return {
    answers,
    events: compared.filter((event, index) => !event.includes("/tasks/oom") || event !== compared[index - 1]),
  };
}

type Tidy = (text: string) => string;

async function answerOf(step: ScriptStep, { daemon, setting }: Scene, tidy: Tidy, newer: boolean): Promise<Answer> {
  const { code, stdout, stderr } = await answerTo(step, daemon, setting);
  const apart = step.differs?.newer === true && !newer ? undefined : step.differs;
  const lines = (text: string) => {
    const left = tidy(text)
      .split("\n")
      .filter((line) => line !== "" && !apart?.lines.test(line));
    return step.unordered === true ? left.sort() : left;
  };
  const command = typeof step.command === "string" ? step.command : step.command.join(" ");
  return { command: tidy(command), code, output: lines(stdout), errors: lines(stderr) };
}

/** Only a status that a call ends with is an outcome; any other failure is the test's. */
async function outcomeOf({ name, act }: Act, scene: Scene, tidy: Tidy): Promise<Answer> {
  const own = { daemon: scene.daemon.paths.directory, scenario: scene.setting.directory };
  try {
    const value = plain(await act(scene), own);
    return { command: name, code: 0, output: value === undefined ? [] : [tidy(JSON.stringify(value))], errors: [] };
  } catch (error) {
    const { code, details } = error as Partial<ServiceError>;
    if (typeof code === "number" && details !== undefined)
      return { command: name, code, output: [], errors: [tidy(details)] };
    throw new Error(`"${name}" on ${scene.daemon.name}`, { cause: error });
  }
}

function answerTo({ command, until }: ScriptStep, daemon: TestDaemon, setting: Setting): Promise<CtrResult> {
  const ask = () =>
    typeof command === "string"
      ? inShell(command, daemon.address, setting)
      : ctr(daemon.address, setting.namespace, command);
  if (until === undefined) return ask();
  return eventually(`${String(command)} shows ${until}`, async () => {
    const result = await ask();
    return result.stdout.includes(until) ? result : undefined;
  });
}

function inShell(line: string, address: string, { namespace, directory }: Setting): Promise<CtrResult> {
  const env = { PATH: process.env.PATH, HOME: "/root", CONTAINERD_ADDRESS: address, CONTAINERD_NAMESPACE: namespace };
  return new Promise((resolve) => {
    const options = { cwd: directory, env, timeout: SHELL_MS_MAX };
    // Its input is a socket, by which bash takes itself for a remote shell, and would read its user's settings.
    const child = execFile("bash", ["--norc", "-c", line], options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : typeof error.code === "number" ? error.code : -1, stdout, stderr });
    });
    child.stdin!.end();
  });
}

/** Makes what the scripts name, in `directory`; `base` is the tree of the image's first layer. */
async function furnish({ directory, fifos, namespace }: Setting, base: string): Promise<void> {
  await mkdir(fifos, { recursive: true });
  await cp(base, join(directory, "rootfs"), { recursive: true, verbatimSymlinks: true });
  await writeFile(join(directory, "env"), "FROM_FILE=yes\n");
  const seccomp = {
    defaultAction: "SCMP_ACT_ALLOW",
    syscalls: [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO" }],
  };
  await writeFile(join(directory, "seccomp.json"), JSON.stringify(seccomp));
  const spec = JSON.parse(runtimeSpec(["echo", "configured"], { cgroup: `/${namespace}/configured` }).value.toString());
  await writeFile(join(directory, "spec.json"), JSON.stringify({ ...spec, root: { path: join(directory, "rootfs") } }));
}
