import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { eventually } from "../../harness/eventually.ts";
import { readJournal } from "../../../src/shim/journal/mod.ts";
import { StatusCode } from "../../../src/shim/ttrpc/mod.ts";
import { Site } from "./shims.ts";

const limit = { timeout: 60_000 };

/** runc, but for a create that waits for the file `go`. */
async function slowRuntime(site: Site): Promise<string> {
  const script = join(site.directory, "slow-runc");
  const wait = `while [ ! -e ${site.directory}/go ]; do sleep 0.02; done`;
  await writeFile(script, `#!/bin/sh\ncase " $* " in *" create "*) ${wait} ;; esac\nexec runc "$@"\n`, { mode: 0o755 });
  return script;
}

test("a container whose daemon asked for the end while it was created does not come to be", limit, async (t) => {
  const site = await Site.open(t);
  const shim = await site.ours();
  const bundle = await site.bundle("one", ["/bin/sleep", "1000"]);
  const creating = shim.create(bundle, { runtime: await slowRuntime(site) });
  const failed = assert.rejects(creating, /container one was given up while it was created/);
  await eventually("the create is under way", () => (readJournal(bundle)?.length === 1 ? true : undefined));
  await shim.call("shutdown", { id: "one", now: false });
  await writeFile(join(site.directory, "go"), "");
  await failed;
  await assert.rejects(shim.state("one"), { code: StatusCode.NotFound });
  assert.equal(readJournal(bundle)!.at(-1)!.record.type, "deleted");
  // The name is free again, and what was given up says nothing of the next.
  await shim.create(bundle);
  await shim.kill("one");
  await shim.wait("one");
  await shim.delete("one");
});
