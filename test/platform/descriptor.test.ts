import assert from "node:assert/strict";
import { constants, fstatSync, openSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import {
  closeDescriptor,
  duplicateDescriptor,
  findPath,
  makeFifo,
  makePipe,
  notNow,
  openFound,
  readNow,
  setBlocking,
  setPipeCapacity,
  writeDescriptor,
  writeNow,
} from "../../src/platform/mod.ts";
import { temporaryDirectory } from "../harness/temporary.ts";

test("readNow and writeNow answer 'not now' on a pipe that is empty or full, and 0 at its end", () => {
  const { reader, writer } = makePipe();
  setBlocking(reader, false);
  setBlocking(writer, false);
  const buffer = Buffer.alloc(8);
  assert.equal(readNow(reader, buffer), notNow);
  assert.equal(writeNow(writer, Buffer.from("abc")), 3);
  assert.equal(readNow(reader, buffer), 3);
  assert.equal(buffer.toString("latin1", 0, 3), "abc");
  const more = Buffer.alloc(1024 * 1024);
  const taken = writeNow(writer, more);
  assert.ok(taken > 0 && taken < more.length, `${taken} bytes`);
  assert.equal(writeNow(writer, more), notNow);
  const second = duplicateDescriptor(writer);
  closeDescriptor(writer);
  while (readNow(reader, more) > 0);
  assert.equal(readNow(reader, more), notNow, "the duplicate keeps the pipe open");
  closeDescriptor(second);
  assert.equal(readNow(reader, more), 0);
  closeDescriptor(reader);
  assert.throws(() => readNow(reader, more), { code: "EBADF", syscall: "read" });
});

test("writeNow tells of a pipe that nobody reads, and no signal ends the process", () => {
  const { reader, writer } = makePipe();
  closeDescriptor(reader);
  assert.throws(() => writeNow(writer, Buffer.from("x")), { code: "EPIPE" });
  closeDescriptor(writer);
});

test("a pipe takes as much as its capacity says", () => {
  const { reader, writer } = makePipe();
  setBlocking(writer, false);
  assert.ok(setPipeCapacity(writer, 256 * 1024));
  assert.equal(writeNow(writer, Buffer.alloc(1024 * 1024)), 256 * 1024);
  closeDescriptor(reader);
  closeDescriptor(writer);
});

test("a found FIFO opens at once in every direction, and answers ENXIO to a writer without a reader", async (t) => {
  const path = join(await temporaryDirectory(t), "fifo");
  makeFifo(path, 0o600);
  assert.equal(statSync(path).mode & 0o7777, 0o600);
  assert.throws(() => makeFifo(path, 0o600), { code: "EEXIST", syscall: "mkfifo" });
  const found = findPath(path);
  assert.ok(fstatSync(found).isFIFO());
  assert.throws(() => openFound(found, constants.O_WRONLY), { code: "ENXIO" });
  const reader = openFound(found, constants.O_RDONLY);
  const writer = openFound(found, constants.O_WRONLY);
  assert.equal(writeNow(writer, Buffer.from("x")), 1);
  assert.equal(readNow(reader, Buffer.alloc(4)), 1);
  for (const each of [found, reader, writer]) closeDescriptor(each);
});

test("findPath stands on a symbolic link itself, which cannot be opened", async (t) => {
  const directory = await temporaryDirectory(t);
  writeFileSync(join(directory, "file"), "");
  symlinkSync("file", join(directory, "link"));
  const found = findPath(join(directory, "link"));
  assert.ok(fstatSync(found).isSymbolicLink());
  assert.throws(() => openFound(found, constants.O_WRONLY), { code: "ELOOP" });
  closeDescriptor(found);
});

test("writeDescriptor appends and resolves with what was taken", async (t) => {
  const path = join(await temporaryDirectory(t), "file");
  writeFileSync(path, "a");
  const descriptor = openSync(path, "a");
  assert.equal(await writeDescriptor(descriptor, Buffer.from("bc")), 2);
  closeDescriptor(descriptor);
  assert.equal(readFileSync(path, "utf8"), "abc");
  await assert.rejects(writeDescriptor(1_000_000, Buffer.from("x")), { code: "EBADF" });
});
