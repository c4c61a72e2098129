import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFile, readFile, stat, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { LogLoss } from "../../../src/shim/log/mod.ts";
import { eventually } from "../../harness/eventually.ts";
import { temporaryDirectory } from "../../harness/temporary.ts";
import { assertConsecutive, lineNumbers, numberedChunks, openLog, readLog, readRecords } from "./log-files.ts";

for (const scheme of ["json-file", "cri"]) {
  test(`${scheme} cuts a record that was torn anywhere, and counts it`, async (t) => {
    const path = `${await temporaryDirectory(t)}/c.log`;
    const uri = `${scheme}://${path}`;
    const first = await openLog(uri);
    first.write("stdout", Buffer.from('first\nsecond \\ "é"\n'));
    await first.close();
    const whole = await readFile(path);
    const start = whole.indexOf("\n") + 1;
    for (let torn = start; torn <= whole.length; torn++) {
      await writeFile(path, whole.subarray(0, torn));
      const losses: LogLoss[] = [];
      const log = await openLog(uri, losses);
      log.write("stdout", Buffer.from("next\n"));
      await log.close();
      const kept = torn === whole.length ? ['second \\ "é"\n'] : [];
      const texts = (await readLog(path, scheme)).map(({ text }) =>
        Buffer.from(text, scheme === "cri" ? "latin1" : "utf8").toString(),
      );
      assert.deepEqual(texts, ["first\n", ...kept, "next\n"]);
      const cut = torn === start || torn === whole.length ? 0 : torn - start;
      assert.deepEqual(
        losses,
        cut === 0 ? [] : [{ bytes: cut, lines: 1, reason: "a record was torn when its writer was killed" }],
      );
    }
  });
}

test("an only record that is torn leaves an empty file, and zeros that a power cut left are cut too", async (t) => {
  const path = `${await temporaryDirectory(t)}/c.log`;
  await writeFile(path, '{"log":"never end');
  await (await openLog(`json-file://${path}`)).close();
  assert.equal((await stat(path)).size, 0);
  await writeFile(path, '{"log":"a\\n","stream":"stdout","time":"2026-03-01T08:00:00.000000000Z"}\n');
  await appendFile(path, Buffer.alloc(70_000));
  await (await openLog(`json-file://${path}`)).close();
  assert.equal(readRecords(await readFile(path), "json-file").length, 1);
});

test("a file that is no log of ours is ended, not cut", async (t) => {
  const path = `${await temporaryDirectory(t)}/c.log`;
  const foreign = Buffer.alloc(300_000, "f");
  await writeFile(path, foreign);
  const log = await openLog(`cri://${path}`);
  log.write("stdout", Buffer.from("next\n"));
  await log.close();
  const bytes = await readFile(path);
  assert.deepEqual(bytes.subarray(0, foreign.length), foreign);
  assert.equal(readRecords(bytes.subarray(foreign.length + 1), "cri")[0]!.text, "next\n");
});

for (const scheme of ["json-file", "cri"]) {
  test(`${scheme} holds a beginning of the lines, each whole, after its writer is killed at any moment`, async (t) => {
    const directory = await temporaryDirectory(t);
    const writer = fileURLToPath(new URL("./endless-writer.ts", import.meta.url));
    for (let kill = 0; kill < 3; kill++) {
      const path = `${directory}/${kill}.log`;
      const uri = `${scheme}://${path}?max-size=1m&max-file=10000`;
      const child = spawn(process.execPath, [writer, uri], { stdio: "inherit" });
      await eventually("the writer has written", async () =>
        (await stat(`${path}.${kill + 1}`).catch(() => undefined)) === undefined ? undefined : true,
      );
      child.kill("SIGKILL");
      await once(child, "exit");
      const before = lineNumbers(await readLogOrTorn(uri, path, scheme));
      const log = await openLog(uri);
      for (const chunk of numberedChunks(before.length, before.length + 10)) log.write("stdout", chunk);
      await log.close();
      assertConsecutive(lineNumbers(await readLog(path, scheme)), 0, before.length + 10);
    }
  });
}

/** What is there once a new log has looked at it. */
async function readLogOrTorn(uri: string, path: string, scheme: string) {
  await (await openLog(uri)).close();
  return readLog(path, scheme);
}
