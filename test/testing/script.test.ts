/** Scripts say what commands do, and can be read again. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import fc from "fast-check";
import {
  commandTypes,
  containerd16,
  Discrepancy,
  faultSequences,
  inProcess,
  printScript,
  readScript,
  runSequence,
  sequences,
  shiplog,
  taskSequences,
} from "../../src/testing/mod.ts";

test("a sequence that is printed is read as the same sequence", () => {
  const any = fc.oneof(sequences(), taskSequences(), faultSequences());
  fc.assert(
    fc.property(any, (commands) => {
      const script = printScript(commands);
      const read = readScript(script, commandTypes);
      assert.equal(printScript(read), script);
      for (const [index, { type, given }] of commands.entries()) {
        assert.equal(read[index]!.type, type);
        assert.deepEqual({ ...read[index]!.given }, { ...given });
      }
    }),
    { numRuns: 500 },
  );
});

test("no two types of commands are written alike", () => {
  assert.equal(new Set(commandTypes.map(({ form }) => form.text)).size, commandTypes.length);
});

test("a line that is no command is refused with the line", () => {
  for (const line of ["images burn x", "leases create", "content read @a @b", "snapshots prepare k0"]) {
    assert.throws(() => readScript(line, commandTypes), { name: "SyntaxError", message: new RegExp(`: ${line}$`) });
  }
});

test("comments, empty lines and indentation say nothing", () => {
  const commands = readScript("# a lease\n\n  leases create --id x  \n", commandTypes);
  assert.equal(printScript(commands), "leases create --id x\n");
});

test("what has spaces, quotes or equals signs in it is quoted", () => {
  const line = "containers list 'id==x'";
  assert.equal(printScript(readScript(line, commandTypes)), `${line}\n`);
  const [command] = readScript("images create 'an '\\''image'\\''' @a 'a key'='=x='", commandTypes);
  assert.deepEqual({ ...command!.given }, { id: "an 'image'", digest: "@a", labels: { "a key": "=x=" } });
  assert.equal(String(command), "images create 'an '\\''image'\\''' @a 'a key'='=x='");
});

test("a discrepancy tells what was expected, what came, and the script that shows it", async () => {
  const right = inProcess("a runtime", shiplog);
  const wrong = {
    ...right,
    async open() {
      const session = await right.open();
      return { ...session, perform: async () => ({ code: "Internal", message: "out of order" }) };
    },
  };
  const failure: unknown = await runSequence(readScript("leases create --id x", commandTypes), wrong).catch(
    (error) => error,
  );
  assert.ok(failure instanceof Discrepancy);
  assert.match(failure.message, /^a runtime: answer after command 1, leases create --id x\n/);
  assert.match(failure.message, /the model says \{ code: 'OK'/);
  assert.match(failure.message, /the runtime {3}\{ code: 'Internal', message: 'out of order' \}/);
  assert.match(failure.message, /\nleases create --id x\n$/);
});

test("docs/reference/testing.md has every command and every trait", async () => {
  const page = await readFile(new URL("../../docs/reference/testing.md", import.meta.url), "utf8");
  for (const { form } of commandTypes) assert.ok(page.includes(`    ${form.text}\n`), form.text);
  const say = (trait: boolean) => (trait ? "yes" : "no");
  for (const [name, value] of Object.entries(containerd16)) {
    if (typeof value !== "boolean") continue;
    const ours = shiplog[name as keyof typeof shiplog] as boolean;
    assert.ok(page.includes(`| \`${name}\` | ${say(value)} | ${say(ours)} |\n`), name);
  }
});
