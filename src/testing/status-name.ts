/** A task's status on the wire, as the chart names it. */
import { TaskStatus } from "../wire/mod.ts";

const names = new Map<number, string>(Object.entries(TaskStatus).map(([name, value]) => [value, name.toLowerCase()]));

export const statusName = (status: TaskStatus): string => names.get(status) ?? "unknown";
