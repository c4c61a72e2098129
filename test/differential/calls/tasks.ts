/** containerd.services.tasks.v1.Tasks, with containers that run for a short time. Their root directory is busybox alone. */
import { containers, tasks } from "../../../src/wire/mod.ts";
import { removeRuncTraces } from "../../harness/runc-traces.ts";
import { execSpec, runtimeSpec } from "../../harness/spec.ts";
import { endShims } from "../../harness/traces.ts";
import { callsOf, type Scenario } from "../scenario.ts";
import { mountsOf, preparingRoot } from "./root.ts";

const namespace = "api-tasks";
const call = callsOf(tasks.TasksDefinition, { namespace });
const container = callsOf(containers.ContainersDefinition, { namespace });
const create = (id: string, ...args: string[]) =>
  container(`container ${id}`, "create", {
    container: {
      id,
      runtime: { name: "io.containerd.runc.v2" },
      spec: runtimeSpec(args, { cgroup: `/${namespace}/${id}` }),
    },
  });
const task = (name: string, containerId: string, request: object = {}, options = {}) =>
  call(name, "create", (memory) => ({ containerId, rootfs: mountsOf(memory), ...request }), options);
const of = (
  name: string,
  method: "start" | "delete" | "get" | "wait" | "pause" | "resume" | "listPids" | "deleteProcess",
  containerId: string,
  execId = "",
  options = {},
) => call(name, method, { containerId, ...(execId !== "" && { execId }) } as { containerId: string }, options);
const kill = (name: string, containerId: string, request: object = {}, options = {}) =>
  call(name, "kill", { containerId, signal: 9, ...request }, options);

const methods = ["start", "get", "delete", "wait", "pause", "resume", "listPids"] as const;

const absent: Scenario = {
  name: "tasks that are not there",
  calls: [
    create("idle", "sleep", "1000"),
    ...["unknown", "idle", ""].flatMap((id) => [
      ...methods.map((method) => of(`${method} ${id || "no id"}`, method, id)),
      kill(`kill ${id || "no id"}`, id),
      of(`deleteProcess ${id || "no id"}`, "deleteProcess", id, "e"),
      call(`exec in ${id || "no id"}`, "exec", { containerId: id, execId: "e", spec: execSpec(["true"]) }),
      call(`resizePty of ${id || "no id"}`, "resizePty", { containerId: id, width: 80, height: 24 }),
      call(`closeIO of ${id || "no id"}`, "closeIO", { containerId: id, stdin: true }),
      call(`checkpoint of ${id || "no id"}`, "checkpoint", { containerId: id }),
      call(`update of ${id || "no id"}`, "update", { containerId: id }),
    ]),
    call("list where nothing is", "list", {}),
    call("metrics where nothing is", "metrics", {}),
    call("metrics by a malformed filter", "metrics", { filters: ["id==="] }),
    call("create of an unknown container", "create", { containerId: "unknown" }),
    call("create of no container", "create", {}),
    ...[
      ...methods,
      "create",
      "list",
      "metrics",
      "kill",
      "exec",
      "resizePty",
      "closeIO",
      "checkpoint",
      "update",
      "deleteProcess",
    ].map((method) =>
      call(`${method} without a namespace`, method as "get", { containerId: "idle" }, { namespace: [] }),
    ),
    container("no container", "delete", { id: "idle" }),
  ],
};

const life: Scenario = {
  name: "tasks",
  calls: [
    ...preparingRoot(namespace, "root"),
    create("one", "sleep", "1000"),
    task("create", "one", {}, { later: ["/tasks/create"] }),
    task("create twice", "one"),
    of("get when created", "get", "one"),
    call("list when created", "list", {}),
    of("pause when created", "pause", "one"),
    of("resume when created", "resume", "one"),
    call(
      "exec when created",
      "exec",
      { containerId: "one", execId: "early", spec: execSpec(["true"]) },
      { later: ["/tasks/exec-added"] },
    ),
    of("start the exec when created", "start", "one", "early", { later: ["/tasks/exec-started", "/tasks/exit"] }),
    of("delete the exec when created", "deleteProcess", "one", "early"),
    of("start", "start", "one", "", { later: ["/tasks/start"] }),
    of("start twice", "start", "one"),
    of("get when running", "get", "one"),
    call("list", "list", {}),
    call("list by a filter, which is ignored", "list", { filter: "id==none" }),
    of("pids", "listPids", "one"),
    of("delete when running", "delete", "one"),
    of("delete a process without an id", "deleteProcess", "one"),
    call("metrics", "metrics", { filters: ["id==one"] }),
    call("metrics of none", "metrics", { filters: ["id==none"] }),
    call("resize without a terminal", "resizePty", { containerId: "one", width: 80, height: 24 }),
    call("close no stdin", "closeIO", { containerId: "one" }),
    call("close stdin", "closeIO", { containerId: "one", stdin: true }),
    call("exec without an id", "exec", { containerId: "one", spec: execSpec(["true"]) }),
    call("exec with a bad id", "exec", { containerId: "one", execId: "a b", spec: execSpec(["true"]) }),
    call(
      "exec",
      "exec",
      { containerId: "one", execId: "e", spec: execSpec(["sh", "-c", "exit 3"]) },
      { later: ["/tasks/exec-added"] },
    ),
    call("exec twice", "exec", { containerId: "one", execId: "e", spec: execSpec(["true"]) }),
    of("get the exec", "get", "one", "e"),
    kill("kill the exec before its start", "one", { execId: "e" }),
    of("start the exec", "start", "one", "e", { later: ["/tasks/exec-started", "/tasks/exit"] }),
    of("wait for the exec", "wait", "one", "e"),
    of("get the exec after its exit", "get", "one", "e"),
    kill("kill the exec after its exit", "one", { execId: "e" }),
    of("start the exec again", "start", "one", "e"),
    of("delete the exec", "deleteProcess", "one", "e"),
    of("delete the exec twice", "deleteProcess", "one", "e"),
    of("get a deleted exec", "get", "one", "e"),
    of("wait for a deleted exec", "wait", "one", "e"),
    of("start an unknown exec", "start", "one", "unknown"),
    kill("kill an unknown exec", "one", { execId: "unknown" }),
    call(
      "exec of no program",
      "exec",
      { containerId: "one", execId: "no-program", spec: execSpec(["/nothing"]) },
      { later: ["/tasks/exec-added"] },
    ),
    of("start the exec of no program", "start", "one", "no-program"),
    of("delete the exec of no program", "deleteProcess", "one", "no-program"),
    call(
      "a long exec",
      "exec",
      { containerId: "one", execId: "long", spec: execSpec(["sleep", "1000"]) },
      { later: ["/tasks/exec-added"] },
    ),
    of("start the long exec", "start", "one", "long", { later: ["/tasks/exec-started"] }),
    of("delete the long exec", "deleteProcess", "one", "long"),
    of("pause", "pause", "one", "", { later: ["/tasks/paused"] }),
    of("get when paused", "get", "one"),
    of("pause twice", "pause", "one"),
    call("exec when paused", "exec", { containerId: "one", execId: "paused", spec: execSpec(["true"]) }, { later: [] }),
    of("resume", "resume", "one", "", { later: ["/tasks/resumed"] }),
    of("resume twice", "resume", "one"),
    kill("kill by no signal", "one", { signal: 0 }),
    kill("kill by an unknown signal", "one", { signal: 200 }),
    container("delete the container of a task", "delete", { id: "one" }),
    of("get without a container", "get", "one"),
    create("one", "sleep", "1000"),
    kill("kill all", "one", { all: true }, { later: ["/tasks/exit", "/tasks/exit"] }),
    of("wait", "wait", "one"),
    of("get when stopped", "get", "one"),
    kill("kill when stopped", "one"),
    of("pause when stopped", "pause", "one"),
    of("start when stopped", "start", "one"),
    call("exec when stopped", "exec", { containerId: "one", execId: "late", spec: execSpec(["true"]) }),
    of("pids when stopped", "listPids", "one"),
    call("metrics when stopped", "metrics", {}),
    of("delete", "delete", "one", "", { later: ["/tasks/delete"] }),
    of("delete twice", "delete", "one"),
    of("get after delete", "get", "one"),
    container("delete the container", "delete", { id: "one" }),
  ].map((call, index, all) =>
    all.findIndex(({ name }) => name === call.name) === index ? call : { ...call, name: `${call.name} again` },
  ),
  cleanUp: clearAway,
};

const short: Scenario = {
  name: "tasks that end",
  calls: [
    ...preparingRoot(namespace, "root-2"),
    create("exits", "sh", "-c", "exit 7"),
    task("create one that exits", "exits", {}, { later: ["/tasks/create"] }),
    of("start one that exits", "start", "exits", "", { later: ["/tasks/start", "/tasks/exit"] }),
    of("wait for one that exits", "wait", "exits"),
    of("get one that has exited", "get", "exits"),
    of("delete one that has exited", "delete", "exits", "", { later: ["/tasks/delete"] }),
    create("created", "sleep", "1000"),
    task("create one that is never started", "created", {}, { later: ["/tasks/create"] }),
    of("delete one that was never started", "delete", "created", "", { later: ["/tasks/delete"] }),
    create("no-program", "/nothing"),
    task("create one without a program", "no-program"),
    of("get one without a program", "get", "no-program"),
    container("a container of no runtime", "create", {
      container: { id: "no-runtime", runtime: { name: "io.containerd.nothing.v1" }, spec: runtimeSpec(["true"]) },
    }),
    task("create on no runtime", "no-runtime"),
    container("a container of a malformed runtime", "create", {
      container: { id: "bad-runtime", runtime: { name: "nothing" }, spec: runtimeSpec(["true"]) },
    }),
    task("create on a malformed runtime", "bad-runtime"),
    container("a container with a spec of no JSON", "create", {
      container: {
        id: "bad-spec",
        runtime: { name: "io.containerd.runc.v2" },
        spec: { typeUrl: runtimeSpec([]).typeUrl, value: Buffer.from("{") },
      },
    }),
    task("create from a spec of no JSON", "bad-spec"),
    create("bad-root", "true"),
    task("create on a mount that fails", "bad-root", {
      rootfs: [{ type: "overlay", source: "overlay", options: ["lowerdir=/nothing"] }],
    }),
    create("bad-io", "true"),
    task("create with an unknown scheme of IO", "bad-io", { stdout: "nothing:///x" }),
    call("list at the end", "list", {}),
  ],
  cleanUp: clearAway,
};

async function clearAway(daemon: { readonly address: string }): Promise<void> {
  await endShims(daemon.address);
  await removeRuncTraces(namespace);
}

export const scenarios: readonly Scenario[] = [absent, life, short];
