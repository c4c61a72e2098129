/** The scripts leave nothing of ctr out without a reason: what they use and what is named with its reason is what `ctr --help` tells of. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ctr } from "../harness/ctr.ts";
import { commandLines, entriesOf, readCommand, usedBy } from "./ctr/commands.ts";
import { leftOut } from "./ctr/left-out.ts";
import { scriptsOfStores, scriptsOfTasks } from "./ctr/mod.ts";

const setting = {
  image: { name: "image", archive: "archive", manifest: "manifest", layers: ["layer"] },
  directory: "directory",
  shared: "shared",
  fifos: "fifos",
  namespace: "namespace",
  registry: "registry",
};

test("every sub-command and flag that ctr's help tells of is compared or left out for a reason", async () => {
  const newer = (await ctr("", "", ["--version"])).stdout.includes(" 1.7.");
  const root = await readCommand();
  const entries = new Set(entriesOf(root));
  assert.ok(entries.size > 300);
  const used = new Set<string>();
  const steps = [...scriptsOfTasks, ...scriptsOfStores]
    .flatMap((script) => script.steps(setting))
    .filter((step) => "command" in step);
  for (const { command } of steps) {
    const lines = typeof command === "string" ? commandLines(command) : [command];
    for (const words of lines) for (const entry of usedBy(root, words)) used.add(entry);
  }
  const named = leftOut.filter((each) => newer || each.newer !== true).flatMap((each) => each.entries);
  const isNamed = (entry: string) => named.includes(entry) || named.includes(entry.replace(/^.* /, "* "));
  assert.deepEqual(
    [...entries].filter((entry) => !used.has(entry) && !isNamed(entry)),
    [],
    "neither compared nor left out",
  );
  const isNeeded = (name: string) =>
    [...entries].some((entry) => !used.has(entry) && (entry === name || entry.replace(/^.* /, "* ") === name));
  assert.deepEqual(
    named.filter((name) => !isNeeded(name)),
    [],
    "left out, but compared, or not there at all",
  );
});
