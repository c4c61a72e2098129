/**
 * Reading a table of settings: what each must be, and what is said of one that is not. Owns the words and the error; which settings there are is
 * for others to say. `where` names a setting for the one who wrote it.
 */
import { isAbsolute } from "node:path";

/** A configuration that cannot be used; the message is for the one who wrote it. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

/** As TOML has it: values of any type by name. */
export type Table = Readonly<Record<string, unknown>>;

export function tableOf(document: Table, name: string, where: (key: string) => string): Table {
  const table = document[name] ?? {};
  if (typeof table !== "object" || Array.isArray(table)) throw new ConfigError(`${where(name)} must be a table`);
  return table as Table;
}

/** A table of tables, each read by `read`. */
export function entriesOf<T>(
  table: Table,
  read: (entry: Table, where: string, name: string) => T,
  where: (name: string) => string,
): ReadonlyMap<string, T> {
  const entries = Object.keys(table).map(
    (name) => [name, read(tableOf(table, name, where), where(name), name)] as const,
  );
  return new Map(entries);
}

export function strings(table: unknown, where: string): Readonly<Record<string, string>> {
  const isTable = typeof table === "object" && table !== null && !Array.isArray(table);
  if (!isTable || !Object.values(table).every((value) => typeof value === "string"))
    throw new ConfigError(`${where} must be a table of strings`);
  return { ...table } as Readonly<Record<string, string>>;
}

export function absolutePath(value: unknown, where: string): string {
  if (typeof value !== "string" || !isAbsolute(value)) throw new ConfigError(`${where} must be an absolute path`);
  return value;
}

export function oneOf<T extends string>(known: readonly T[], value: unknown, where: string): T {
  const found = known.find((each) => each === value);
  if (found === undefined) throw new ConfigError(`${where} must be one of ${known.join(", ")}`);
  return found;
}

export function trueOrFalse(value: unknown, where: string): boolean {
  if (typeof value !== "boolean") throw new ConfigError(`${where} must be true or false`);
  return value;
}

export function refuseUnknown(table: Table, known: readonly string[], where: (key: string) => string): void {
  const unknown = Object.keys(table).filter((key) => !known.includes(key));
  if (unknown.length > 0)
    throw new ConfigError(`${unknown.map(where).join(", ")}: no such setting; known here: ${known.join(", ")}`);
}

export function optionalInteger(
  value: unknown,
  [min, max]: readonly [number, number],
  where: string,
): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "number" || !Number.isInteger(value) || value < min || value > max) {
    throw new ConfigError(`${where} must be an integer from ${min} to ${max}`);
  }
  return value;
}
