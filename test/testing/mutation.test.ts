/** The model can fail: a bug in a copy of each chart is found and told in a few commands. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { check, inProcess, ModelFailure, sequences, shiplog, taskSequences } from "../../src/testing/mod.ts";
import { mutants } from "./mutants.ts";

const RUNS_MAX = 3_000;
const COMMANDS_MAX = 6;
const SEED = 20_261_124;

/** The charts of what containerd's API shows. */
const shown = ["namespace", "container", "image", "lease", "ingest", "blob", "snapshot", "task", "exec"];

test("the project's own deciders are found to be right", async () => {
  for (const any of [sequences(), taskSequences()]) {
    const { commands } = await check({
      endpoints: [inProcess("deciders", shiplog)],
      runs: 200,
      seed: SEED,
      sequences: any,
    });
    assert.ok(commands > 200);
  }
});

for (const { name, chart, deciders } of mutants) {
  test(`a seeded bug is found and told in ${COMMANDS_MAX} commands: ${name}`, async (t) => {
    const any = chart === "task" || chart === "exec" ? taskSequences() : sequences();
    const endpoints = [inProcess(name, shiplog, deciders)];
    const failure: unknown = await check({ endpoints, runs: RUNS_MAX, seed: SEED, sequences: any }).catch(
      (error) => error,
    );
    assert.ok(failure instanceof ModelFailure, String(failure));
    const { commands, index } = failure.discrepancy.details;
    assert.equal(commands.length, index + 1);
    assert.ok(commands.length <= COMMANDS_MAX, failure.message);
    t.diagnostic(commands.join(" ; "));
  });
}

test("there are two seeded bugs in copies of each chart that clients see", () => {
  for (const chart of shown) assert.ok(mutants.filter((mutant) => mutant.chart === chart).length >= 2, chart);
});
