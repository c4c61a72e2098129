/** ARCHITECTURE.md is held to its word: each guarantee names a test that is there, and each room in it exists. */
import assert from "node:assert/strict";
import { readFile, stat } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const read = (path: string) => readFile(new URL(`../${path}`, import.meta.url), "utf8");

test("each guarantee of ARCHITECTURE.md names a test that exists", async () => {
  const document = await read("ARCHITECTURE.md");
  const section = document.slice(document.indexOf("## Guaranteed"), document.indexOf("## Not guaranteed"));
  const rows = section.split("\n").filter((line) => line.startsWith("| ") && !/^\| (---|guarantee)/.test(line));
  assert.ok(rows.length > 10);
  for (const row of rows) {
    const [, file, name] = /`(test\/[^`]+)` "([^"]+)" \|$/.exec(row) ?? [];
    assert.ok(file !== undefined && name !== undefined, `names a test: ${row}`);
    assert.ok((await read(file)).includes(name), `${file} has a test named "${name}"`);
  }
});

test("each room of ARCHITECTURE.md exists", async () => {
  const document = await read("ARCHITECTURE.md");
  const rooms = [...document.matchAll(/`(src\/[^`*]+)`/g)].map(([, room]) => room!);
  assert.ok(rooms.length > 8);
  for (const room of rooms) await stat(fileURLToPath(new URL(`../${room}`, import.meta.url)));
});
