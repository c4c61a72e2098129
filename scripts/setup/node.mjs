/**
 * The project's own Node. Owns where its binary lies: in the npm package `node`, or in the package for this platform that `node`
 * stands for.
 */
import { accessSync, constants, existsSync, symlinkSync } from "node:fs";
import { join, relative } from "node:path";
import { run, withoutProjectBinaries } from "./run.mjs";

/** Path of the binary, undefined when there is none. `scripts/node` looks in the same places. */
export function findNode(root) {
  return [`node-linux-${process.arch}`, "node"]
    .map((name) => join(root, "node_modules", name, "bin/node"))
    .find(isExecutable);
}

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Runs the install script of the package `node`, which fetches the package of this platform. */
export function installNode(root) {
  const folder = join(root, "node_modules/node");
  const installer = join(folder, "installArchSpecificPackage.js");
  if (existsSync(installer)) run(process.execPath, [installer], { cwd: folder, env: withoutProjectBinaries() });
  if (findNode(root) === undefined) {
    throw new Error(
      `there is no Node 26 for ${process.platform} on ${process.arch} among the npm packages; x64 and arm64 have one`,
    );
  }
}

/** Puts the binary where npm's scripts look first, which not every npm does for a package whose scripts it may not run. */
export function linkNode(root) {
  const folder = join(root, "node_modules/.bin");
  const link = join(folder, "node");
  if (!existsSync(link)) symlinkSync(relative(folder, findNode(root)), link);
}
