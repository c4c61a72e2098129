/**
 * The npm packages of package-lock.json. Owns the question whether node_modules holds what the lock says, answered from the copy of
 * the lock that npm keeps there, and the one command that makes it so.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { run, withoutProjectBinaries } from "./run.mjs";

const packagesOf = (file) => JSON.parse(readFileSync(file, "utf8")).packages;

/** What about node_modules does not agree with package-lock.json, in words; undefined when all agrees. */
export function missingPackage(root) {
  const installedFile = join(root, "node_modules/.package-lock.json");
  if (!existsSync(installedFile)) return "there are none yet";
  const installed = packagesOf(installedFile);
  for (const [path, locked] of Object.entries(packagesOf(join(root, "package-lock.json")))) {
    if (path === "") continue;
    const found = installed[path];
    // An optional package may be one for another platform.
    if (found === undefined && locked.optional) continue;
    if (found === undefined || !existsSync(join(root, path))) return `${nameOf(path)} is missing`;
    if (found.version !== locked.version) return `${nameOf(path)} is ${found.version}, not ${locked.version}`;
  }
  return undefined;
}

const nameOf = (path) => path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);

/** No package's install script is run: none is needed but that of `node`, which is run by name. */
export function installPackages(root) {
  run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: root, env: withoutProjectBinaries() });
}
