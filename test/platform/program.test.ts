import assert from "node:assert/strict";
import { test } from "node:test";
import { runProgram } from "../../src/platform/mod.ts";

test("runProgram answers with what the program said, and fails with why it failed", async () => {
  assert.equal(await runProgram("test.echo", "echo", ["a", "b"]), "a b\n");
  const failing = runProgram("test.cp", "cp", ["/absent-source", "/absent-target"]);
  await assert.rejects(
    failing,
    (thrown: unknown) =>
      thrown instanceof Error && /^run cp: .*absent-source/.test(thrown.message) && thrown.cause instanceof Error,
  );
  await assert.rejects(runProgram("test.none", "no-such-program", []), /run no-such-program/);
});

test("runProgram announces its operation, which can be made to fail", async () => {
  const hook = (operation: string) => {
    throw new Error(`${operation} refused`);
  };
  await assert.rejects(runProgram("test.echo", "echo", [], hook), /test.echo refused/);
});
