import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { syncFilesystem } from "../../src/platform/mod.ts";

test("those who ask for a sync while one runs share the next one", async () => {
  let runs = 0;
  const count = (operation: string) => {
    if (operation === "kernel.syncfs") runs++;
  };
  await Promise.all(Array.from({ length: 20 }, () => syncFilesystem(tmpdir(), count)));
  assert.ok(runs >= 1 && runs <= 3, `${runs} runs`);
  const before = runs;
  await syncFilesystem(tmpdir(), count);
  assert.equal(runs, before + 1);
});

test("a sync that fails is an error for those who waited for it, and not for those after them", async () => {
  const failing = syncFilesystem(tmpdir(), () => {
    throw new Error("disk on fire");
  });
  await assert.rejects(failing, /disk on fire/);
  await syncFilesystem(tmpdir());
  await assert.rejects(syncFilesystem("/absent"), { code: "ENOENT" });
});
