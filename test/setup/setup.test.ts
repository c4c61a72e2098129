import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { findProgram, isStatic } from "../../scripts/setup/programs.mjs";

const repository = fileURLToPath(new URL("../..", import.meta.url));
const setup = join(repository, "scripts/setup.mjs");
let directory: string;

before(() => {
  directory = mkdtempSync(join(tmpdir(), "shiplog-test-"));
});
after(() => rmSync(directory, { recursive: true }));

/** A copy of the scripts in a checkout whose npm packages are these. */
function checkout(name: string, locked: Record<string, string>, installed: Record<string, string> | undefined): string {
  const root = join(directory, name);
  cpSync(join(repository, "scripts"), join(root, "scripts"), { recursive: true });
  const lock = (versions: Record<string, string>) =>
    JSON.stringify({ packages: Object.fromEntries(Object.entries(versions).map(([path, version]) => [`node_modules/${path}`, { version }])) });
  writeFileSync(join(root, "package-lock.json"), lock(locked));
  if (installed === undefined) return root;
  for (const path of ["", ...Object.keys(installed)]) mkdirSync(join(root, "node_modules", path), { recursive: true });
  writeFileSync(join(root, "node_modules/.package-lock.json"), lock(installed));
  return root;
}

/** A program in the place of the checkout's Node, where only its being there matters. */
function putNode(root: string): void {
  for (const folder of ["node/bin", ".bin"]) mkdirSync(join(root, "node_modules", folder), { recursive: true });
  writeFileSync(join(root, "node_modules/node/bin/node"), "#!/bin/sh\n", { mode: 0o755 });
}

/** A folder with programs that record how they were called and end with a status. */
function programs(name: string, statuses: Record<string, number>): { path: string; calls: () => string[] } {
  const path = join(directory, name);
  const record = join(path, "calls");
  mkdirSync(path);
  writeFileSync(record, "");
  for (const [program, status] of Object.entries(statuses)) {
    writeFileSync(join(path, program), `#!/bin/sh\necho "${program} $*" >>${record}\nexit ${status}\n`);
    chmodSync(join(path, program), 0o755);
  }
  return { path, calls: () => execFileSync("cat", [record], { encoding: "utf8" }).split("\n").filter((line) => line !== "") };
}

const run = (root: string, purpose: string, path: string) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, "scripts/setup.mjs"), purpose], {
    ...{ encoding: "utf8", env: { PATH: path }, timeout: 60_000 },
  });
  return { status, stdout, stderr };
};

describe("set-up", () => {
  it("says nothing and changes nothing when everything is there", () => {
    const result = spawnSync(process.execPath, [setup, "check"], { encoding: "utf8" });
    assert.deepEqual([result.status, result.stdout, result.stderr], [0, "", ""]);
  });

  it("refuses a purpose that it does not know", () => {
    const { status, stderr } = run(repository, "party", process.env.PATH!);
    assert.equal(status, 1);
    assert.match(stderr, /^set-up: say what for: demo, test, check$/m);
  });

  it("asks npm for the locked packages when there are none, and says why", () => {
    const npm = programs("npm-works", { npm: 0 });
    const { status, stdout, stderr } = run(checkout("empty", { pino: "1.0.0" }, undefined), "check", npm.path);
    assert.deepEqual(npm.calls(), ["npm ci --ignore-scripts --no-audit --no-fund"]);
    assert.match(stdout, /^set-up: npm packages into node_modules \(there are none yet\)$/m);
    // This npm brings nothing, and that does not pass for success.
    assert.equal(status, 1);
    assert.match(stderr, /^set-up: there is no Node 26 for linux/m);
  });

  it("asks npm again when a package is of another version than the lock's", () => {
    const npm = programs("npm-updates", { npm: 0 });
    const { stdout } = run(checkout("old", { pino: "2.0.0" }, { pino: "1.0.0" }), "check", npm.path);
    assert.match(stdout, /\(pino is 1\.0\.0, not 2\.0\.0\)/);
    assert.equal(npm.calls().length, 1);
  });

  it("ends with npm's own words when npm fails", () => {
    const npm = programs("npm-fails", { npm: 7 });
    const { status, stderr } = run(checkout("failing", { pino: "1.0.0" }, undefined), "check", npm.path);
    assert.equal(status, 1);
    assert.match(stderr, /^set-up: npm ci .* failed:/m);
  });

  it("installs nothing on a system that is not Debian, and names what is missing, why, and how it would be installed there", () => {
    const root = checkout("other-system", {}, {});
    putNode(root);
    const { status, stdout, stderr } = run(root, "demo", programs("no-apt", {}).path);
    assert.deepEqual([status, stdout], [1, ""]);
    assert.match(stderr, /this is no Debian system, so nothing was installed\. Missing: .*a static busybox \(is what the containers run\)/);
    assert.match(stderr, /on Debian: apt-get install .*busybox-static$/m);
  });

  it("installs only what is missing, without questions, and reads the package lists anew when that fails", () => {
    const root = checkout("debian", {}, {});
    putNode(root);
    const system = programs("apt-fails", { "apt-get": 100, runc: 0, systemctl: 0, sudo: 0 });
    symlinkSync("/usr/bin/env", join(system.path, "env"));
    const { status, stdout, stderr } = run(root, "demo", system.path);
    const options = "-qq -o Dpkg::Use-Pty=0";
    const install = `apt-get ${options} install -y --no-install-recommends --no-remove busybox-static`;
    assert.deepEqual(system.calls().filter((call) => call.startsWith("apt-get")), [install, `apt-get ${options} update`, install]);
    assert.match(stdout, /^set-up: Debian packages busybox-static: a static busybox \(/m);
    assert.equal(status, 1);
    assert.match(stderr, /apt-get failed/);
  });

  it("tells apart a static program from one that needs a loader", () => {
    assert.equal(isStatic(findProgram("busybox")!), true);
    assert.equal(isStatic(process.execPath), false);
    assert.equal(isStatic(setup), false);
  });

  it("finds a program in PATH, in the folders of the system, or nowhere", () => {
    const { path } = programs("somewhere", { shiplogtest: 0 });
    assert.equal(findProgram("shiplogtest", `/nowhere:${path}`), join(path, "shiplogtest"));
    assert.equal(findProgram("shiplogtest", "/nowhere"), undefined);
  });
});

describe("the launchers", () => {
  it("work from any folder and through symbolic links", () => {
    for (const name of ["shiplog", "shiplogd"]) {
      const link = join(directory, name);
      symlinkSync(join(repository, "bin", name), link);
      const output = execFileSync(link, ["--help"], { cwd: "/", encoding: "utf8" });
      assert.match(output, new RegExp(`^${name}: `));
    }
  });

  it("say what to do when the set-up has not run", () => {
    const root = join(directory, "fresh");
    cpSync(join(repository, "scripts"), join(root, "scripts"), { recursive: true });
    cpSync(join(repository, "bin"), join(root, "bin"), { recursive: true });
    const { status, stderr } = spawnSync(join(root, "bin/shiplog"), [], { encoding: "utf8" });
    assert.equal(status, 1);
    assert.match(stderr, /the project's Node is missing; run 'node .*\/fresh\/scripts\/setup\.mjs demo' first/);
  });
});
