/**
 * What the program reads and writes in a bundle: the spec's annotations, and the file `address`, by which daemons of 1.6 and 1.7 find the shim again.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errorCode } from "../../platform/mod.ts";

/** The annotations of the bundle's spec. @throws Error when there is no spec, or none that can be read */
export function annotationsOf(bundle: string): Readonly<Record<string, unknown>> {
  const path = join(bundle, "config.json");
  try {
    const spec = JSON.parse(readFileSync(path, "utf8")) as { annotations?: unknown } | null;
    return typeof spec?.annotations === "object" && spec.annotations !== null
      ? (spec.annotations as Record<string, unknown>)
      : {};
  } catch (cause) {
    const text = errorCode(cause) === "ENOENT" ? "no such file or directory" : (cause as Error).message;
    throw new Error(`open ${path}: ${text}`, { cause });
  }
}

/** The address in the bundle, or undefined when no shim has served it. */
export function readAddress(bundle: string): string | undefined {
  try {
    const address = readFileSync(join(bundle, "address"), "utf8").trim();
    return address === "" ? undefined : address;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** Writes the address so that a reader finds the old text or the new one. */
export function writeAddress(bundle: string, address: string): void {
  const temporary = join(bundle, `.address.${process.pid}`);
  try {
    writeFileSync(temporary, address, { mode: 0o600 });
    renameSync(temporary, join(bundle, "address"));
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}
