/**
 * Makes a checkout ready to run: npm packages, the project's own Node, and the programs that no npm package carries. Run by npm
 * before `demo`, `test`, `bench` and `check` as `node scripts/setup.mjs demo|test|check`, by the machine's own Node, 16 or later.
 *
 * It installs only what is missing, says in one line what and why, and never replaces what is there. Where it may not install, it
 * names what to install by hand and ends with status 1. With nothing missing it says nothing.
 */
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { installPrograms, missingPrograms, programsFor } from "./setup/programs.mjs";
import { installPackages, missingPackage } from "./setup/packages.mjs";
import { findNode, installNode, linkNode } from "./setup/node.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const purposes = ["demo", "test", "check"];

const say = (line) => process.stdout.write(`set-up: ${line}\n`);

function main(purpose) {
  if (!purposes.includes(purpose)) throw new Error(`say what for: ${purposes.join(", ")}`);
  if (process.platform !== "linux") throw new Error("shiplog runs on Linux only");

  const lacking = missingPackage(root);
  if (lacking !== undefined) {
    say(`npm packages into node_modules (${lacking})`);
    installPackages(root);
  }
  if (findNode(root) === undefined) {
    say("Node 26 into node_modules, which the sources need; the machine's own Node stays as it is");
    installNode(root);
  }
  linkNode(root);
  const missing = missingPrograms(programsFor(purpose, findNode(root)));
  if (missing.length > 0) installPrograms(missing, say);
}

try {
  main(process.argv[2]);
} catch (error) {
  process.stderr.write(`set-up: ${error.message}\n`);
  process.exitCode = 1;
}
