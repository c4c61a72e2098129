import assert from "node:assert/strict";
import { basename } from "node:path";
import { test } from "node:test";
import { TtrpcError } from "../../../src/shim/ttrpc/mod.ts";
import {
  CheckpointTaskRequest,
  CreateTaskRequest,
  ExecProcessRequest,
  UpdateTaskRequest,
} from "../../../src/wire/gen/containerd/task/v2/shim.ts";
import { unixNanoFromTimestamp } from "../../../src/wire/time.ts";
import { type Shim, Site } from "./shims.ts";

/** The same script on any shim: what each step came to, "ok" or its code and words, with this run's own names taken out. */
async function script(site: Site, shim: Shim, bundle: string): Promise<Map<string, string>> {
  const id = basename(bundle);
  const outcomes = new Map<string, string>();
  const plain = (text: string) =>
    text
      .replaceAll(bundle, "BUNDLE")
      .replaceAll(site.directory, "SITE")
      .replace(/\d+\/one/g, "N/one")
      .replace(/log\.json|runtime-log-[\d-]+\.json/g, "LOG");
  const step = async (name: string, action: () => Promise<unknown>) => {
    assert.ok(!outcomes.has(name), name);
    try {
      const value = await action();
      outcomes.set(name, typeof value === "string" ? value : "ok");
    } catch (error) {
      if (!(error instanceof TtrpcError)) throw error;
      outcomes.set(name, `${error.code} ${plain(error.message)}`);
    }
  };
  const mounting = (source: string) =>
    shim.call(
      "create",
      CreateTaskRequest.fromPartial({ id, bundle, rootfs: [{ type: "bind", source, options: ["rbind", "ro"] }] }),
    );
  const exec = (execId: string, spec: string) =>
    shim.call(
      "exec",
      ExecProcessRequest.fromPartial({ id, execId, spec: { typeUrl: "Process", value: Buffer.from(spec) } }),
    );
  const update = (resources: string) =>
    shim.call(
      "update",
      UpdateTaskRequest.fromPartial({ id, resources: { typeUrl: "Resources", value: Buffer.from(resources) } }),
    );
  const checkpoint = () =>
    shim.call("checkpoint", CheckpointTaskRequest.fromPartial({ id, path: "/dev/null/no-directory" }));
  const resize = (execId: string) => shim.call("resizePty", { id, execId, width: 1, height: 1 });
  const process = (args: string[]) => JSON.stringify({ args, cwd: "/", env: ["PATH=/bin"], user: { uid: 0, gid: 0 } });
  const stateOf = async (execId: string) => {
    const { id: whose, status, exitStatus, exitedAt } = await shim.state(id, execId);
    return `${whose} ${status} ${exitStatus} ${unixNanoFromTimestamp(exitedAt) === undefined ? "not ended" : "ended"}`;
  };
  const sleeper = process(["/bin/sleep", "1000"]);

  await step("state of nothing", () => shim.state(id));
  await step("kill nothing", () => shim.kill(id));
  await step("pids of nothing", () => shim.call("pids", { id }));
  await step("delete nothing", () => shim.delete(id));
  await step("create without its runtime", () => shim.create(bundle, { runtime: "no-such-runtime" }));
  await step("create with a path that is no runtime's", () => shim.create(bundle, { runtime: "/no/such/runtime" }));
  await step("create with a mount that is not there", () => mounting("/no/such"));
  await step("create with an unknown scheme", () => shim.create(bundle, { stdout: "nothing://known" }));
  await step("create with a program that is not there", async () =>
    shim.create(await site.bundle("missing", ["/bin/missing"])),
  );
  await step("create", () => shim.create(bundle));
  await step("state when created", () => stateOf(""));
  await step("pause when created", () => shim.call("pause", { id }));
  await step("resume when created", () => shim.call("resume", { id }));
  await step("checkpoint when created", checkpoint);
  await step("resize when created", () => resize(""));
  await step("start", () => shim.start(id));
  await step("start again", () => shim.start(id));
  await step("state when running", () => stateOf(""));
  await step("delete when running", () => shim.delete(id));
  await step("resume when running", () => shim.call("resume", { id }));
  await step("checkpoint when running", checkpoint);
  await step("kill with a signal that is none", () => shim.kill(id, { signal: 999 }));
  await step("update with what is no JSON", () => update("{"));
  await step("state of no exec", () => shim.state(id, "no"));
  await step("start no exec", () => shim.start(id, "no"));
  await step("kill no exec", () => shim.kill(id, { execId: "no" }));
  await step("wait for no exec", () => shim.wait(id, "no"));
  await step("delete no exec", () => shim.delete(id, "no"));
  await step("close the input of no exec", () => shim.call("closeIO", { id, execId: "no", stdin: true }));
  await step("exec", () => exec("e", sleeper));
  await step("exec with a name in use", () => exec("e", sleeper));
  await step("state of an exec that is not started", () => stateOf("e"));
  await step("kill an exec that is not started", () => shim.kill(id, { execId: "e" }));
  await step("start an exec", () => shim.start(id, "e"));
  await step("start an exec again", () => shim.start(id, "e"));
  await step("delete an exec that runs", () => shim.delete(id, "e"));
  await step("exec a program that is not there", () => exec("missing", process(["/bin/missing"])));
  await step("start a program that is not there", () => shim.start(id, "missing"));
  await step("delete an exec that failed", () => shim.delete(id, "missing"));
  await step("state of a deleted exec", () => shim.state(id, "missing"));
  await step("pause", () => shim.call("pause", { id }));
  await step("pause again", () => shim.call("pause", { id }));
  await step("state when paused", () => stateOf(""));
  await step("state of an exec when paused", () => stateOf("e"));
  await step("start when paused", () => shim.start(id));
  await step("exec when paused", () => exec("f", sleeper));
  await step("delete when paused", () => shim.delete(id));
  await step("resume", () => shim.call("resume", { id }));
  await step("kill an exec", () => shim.kill(id, { execId: "e" }));
  await step("wait for an exec", async () => String(await shim.wait(id, "e")));
  await step("kill an exec again", () => shim.kill(id, { execId: "e" }));
  await step("resize an exec that has ended", () => resize("e"));
  await step("start an exec that has ended", () => shim.start(id, "e"));
  await step("delete an exec", () => shim.delete(id, "e"));
  await step("exec for later", () => exec("late", sleeper));
  await step("kill", () => shim.kill(id));
  await step("wait", async () => String(await shim.wait(id)));
  await step("state when stopped", () => stateOf(""));
  await step("kill again", () => shim.kill(id));
  await step("pause when stopped", () => shim.call("pause", { id }));
  await step("resume when stopped", () => shim.call("resume", { id }));
  await step("update when stopped", () => update("{}"));
  await step("checkpoint when stopped", checkpoint);
  await step("exec when stopped", () => exec("g", sleeper));
  await step("start when stopped", () => shim.start(id));
  await step("pids when stopped", () => shim.call("pids", { id }));
  await step("start an exec when stopped", () => shim.start(id, "late"));
  await step("resize when stopped", () => resize(""));
  await step("delete", () => shim.delete(id));
  await step("delete again", () => shim.delete(id));
  return outcomes;
}

/** Where ours means to say something else, and why. */
const intended: Readonly<Record<string, string>> = {
  "update with what is no JSON": "the runtime reads it, and says so in its own words",
  "close the input of no exec": "containerd's shim forgets the class there",
  "start an exec when stopped": "containerd's shim says so from version 1.7 on, without asking the runtime",
};

test("the service says what containerd's shim says to whatever is wrong", { timeout: 120_000 }, async (t) => {
  const site = await Site.open(t);
  const ours = await script(site, await site.ours(), await site.bundle("one", ["/bin/sleep", "1000"]));
  const bundle = await site.bundle("one", ["/bin/sleep", "1000"]);
  const theirs = await script(site, await site.containerds(bundle), bundle);
  const differing = [...theirs].filter(([step, outcome]) => ours.get(step) !== outcome).map(([step]) => step);
  const shown = differing
    .filter((step) => intended[step] === undefined)
    .map((step) => `${step}\n  theirs ${theirs.get(step)}\n  ours   ${ours.get(step)}`);
  assert.deepEqual(shown, [], shown.join("\n"));
  assert.deepEqual(
    Object.keys(intended).filter((step) => !differing.includes(step)),
    [],
    "a difference that is none",
  );
});
