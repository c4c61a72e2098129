import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { resolveRuntimePath, searchPathOf } from "../../src/tasks/runtime-path.ts";
import { temporaryDirectory } from "../harness/temporary.ts";

const configured: ReadonlyMap<string, string> = new Map();
const nowhere = { configured, ownShim: "/own/shim", searchPath: [], daemonDir: "/nonexistent" };

test("a runtime's last two parts name its shim, searched along the path and beside the daemon", async (t) => {
  const [first, second, daemonDir] = await Promise.all([1, 2, 3].map(() => temporaryDirectory(t)));
  const name = "containerd-shim-quick-v7";
  const options = { ...nowhere, searchPath: [first!, second!], daemonDir: daemonDir! };
  await writeFile(join(daemonDir!, name), "", { mode: 0o755 });
  assert.equal(resolveRuntimePath("io.example.quick.v7", options), join(daemonDir!, name));
  await writeFile(join(second!, name), "", { mode: 0o755 });
  assert.equal(resolveRuntimePath("io.example.quick.v7", options), join(second!, name));
  await writeFile(join(first!, name), "", { mode: 0o644 });
  assert.equal(
    resolveRuntimePath("io.example.quick.v7", options),
    join(second!, name),
    "what cannot be run is no shim",
  );
});

test("our own shim serves the names of runc, unless the configuration names another", () => {
  assert.equal(resolveRuntimePath("io.containerd.runc.v2", { ...nowhere, searchPath: ["/usr/bin"] }), "/own/shim");
  assert.equal(resolveRuntimePath("io.containerd.shiplog.v1", nowhere), "/own/shim");
  const chosen = (path: string) => ({
    ...nowhere,
    configured: new Map([
      ["io.containerd.runc.v2", path],
      ["quick", path],
    ]),
  });
  assert.equal(resolveRuntimePath("io.containerd.runc.v2", chosen("/bin/true")), "/bin/true");
  assert.equal(resolveRuntimePath("quick", chosen("/bin/true")), "/bin/true");
  assert.throws(() => resolveRuntimePath("quick", chosen("/nonexistent")), {
    message: 'failed to resolve runtime path: runtime "quick" is configured as /nonexistent: file does not exist',
  });
});

test("an absolute path is the shim itself", () => {
  assert.equal(resolveRuntimePath("/bin/true", nowhere), "/bin/true");
});

for (const [runtime, message] of [
  ["", /^failed to resolve runtime path: no runtime name$/],
  [
    "/nonexistent",
    /^failed to resolve runtime path: invalid custom binary path: stat \/nonexistent: no such file or directory$/,
  ],
  ["bogus", /^failed to resolve runtime path: invalid runtime name bogus, correct runtime name should be/],
  ["one.dot", /invalid runtime name one\.dot/],
  ["a/b.c.d", /invalid runtime name a\/b\.c\.d/],
  [
    "io.containerd.nosuch.v9",
    /runtime "io\.containerd\.nosuch\.v9" binary not installed "containerd-shim-nosuch-v9": file does not exist$/,
  ],
] as const) {
  test(`the runtime ${JSON.stringify(runtime)} is refused in containerd's words`, () => {
    assert.throws(() => resolveRuntimePath(runtime, nowhere), { class: "Unknown", message });
  });
}

test("empty parts of a PATH are no directories", () => {
  assert.deepEqual(searchPathOf(":/a::/b:"), ["/a", "/b"]);
  assert.deepEqual(searchPathOf(undefined), []);
});
