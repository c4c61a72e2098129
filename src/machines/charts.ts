/** Every chart by its name: that of each kind of entity, and that of a process executed in a task. */
import type { Chart } from "./decider.ts";
import { deciders, type Kind } from "./mod.ts";
import { execChart } from "./task-chart.ts";

export type ChartName = Kind | "exec";

const ofKinds = Object.entries(deciders).map(([kind, { chart }]): [string, Chart] => [kind, chart as Chart]);
const task = ofKinds.findIndex(([kind]) => kind === "task");

export const charts = Object.fromEntries(ofKinds.toSpliced(task + 1, 0, ["exec", execChart as Chart])) as Readonly<
  Record<ChartName, Chart>
>;
