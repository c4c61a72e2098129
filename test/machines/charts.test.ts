/** What is shown of a chart is the chart that decides. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createMachine, transition } from "xstate";
import { charts } from "../../src/machines/charts.ts";
import { chartConfig, chartGraph, deciders, execChart } from "../../src/machines/mod.ts";

test("charts are those that the deciders ask, and that of execs", () => {
  const { exec, ...kinds } = charts;
  assert.equal(exec, execChart);
  assert.deepEqual(Object.keys(kinds), Object.keys(deciders));
  for (const [kind, chart] of Object.entries(kinds)) assert.equal(chart, deciders[kind as keyof typeof deciders].chart);
});

for (const [name, chart] of Object.entries(charts)) {
  const { edges, statuses, initial } = chartGraph(chart);
  const commands = [...new Set(edges.map(({ command }) => command))];
  const conditions = [...new Set(edges.flatMap(({ condition }) => (condition === undefined ? [] : [condition.name])))];
  const circumstances = [[], conditions];

  test(`the graph of the ${name} has what its chart answers, and no more`, () => {
    assert.ok(statuses.includes(initial));
    for (const status of statuses) {
      for (const command of commands) {
        for (const holds of circumstances) {
          const drawn = edges.filter(
            ({ from, condition, ...edge }) =>
              from === status &&
              edge.command === command &&
              (condition === undefined || condition.holds === holds.includes(condition.name)),
          );
          const next = chart.next(status, command, holds);
          assert.deepEqual(
            drawn.map(({ to }) => to),
            next === undefined ? [] : [next],
            `${status} ${command}`,
          );
        }
      }
    }
  });

  test(`the configuration of the ${name}, through JSON, makes a machine of xstate that answers the same`, () => {
    const config = JSON.parse(JSON.stringify(chartConfig(chart)));
    const guards = Object.fromEntries(
      conditions.map((each) => [each, ({ context }: { context: { holds: string[] } }) => context.holds.includes(each)]),
    );
    const machine = createMachine(config, { guards } as never);
    for (const status of statuses) {
      for (const command of commands) {
        for (const holds of circumstances) {
          const snapshot = machine.resolveState({ value: status, context: { holds } } as never);
          const event = { type: command } as never;
          const next = snapshot.can(event) ? transition(machine, snapshot, event)[0].value : undefined;
          assert.equal(next, chart.next(status, command, holds), `${status} ${command}`);
        }
      }
    }
  });
}
