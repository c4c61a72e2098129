import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, describe, it } from "node:test";
import { addressBytesMax, ConfigError, loadConfig } from "../src/config.ts";

const directory = mkdtempSync(join(tmpdir(), "shiplog-test-"));
after(() => rmSync(directory, { recursive: true }));

function file(toml: string): string {
  const path = join(directory, "config.toml");
  writeFileSync(path, toml);
  return path;
}

function configOf(...argv: string[]) {
  const invocation = loadConfig(argv);
  assert.equal(invocation.kind, "run");
  return invocation.config;
}

const refuses = (argv: string[], message: RegExp) =>
  assert.throws(
    () => loadConfig(argv),
    (error) => error instanceof ConfigError && message.test(error.message),
  );

describe("the configuration", () => {
  it("has the documented defaults when nothing is given", () => {
    assert.deepEqual(configOf(), {
      root: "/var/lib/shiplog",
      state: "/run/shiplog",
      address: "/run/shiplog/shiplog.sock",
      ttrpcAddress: "/run/shiplog/shiplog.sock.ttrpc",
      logLevel: "info",
      log: { segmentBytes: undefined },
      content: { sharing: "shared" },
      collection: { automatic: true },
      runtimes: new Map(),
      shim: { grouping: "sandbox", cgroup: "container", spares: 1 },
      mounters: new Map(),
      proxies: new Map(),
      diff: { order: ["walking"] },
    });
  });

  it("takes every setting from the file", () => {
    const path = file(
      'root = "/r"\nstate = "/s"\naddress = "/a.sock"\nlog_level = "debug"\n[log]\nsegment_bytes = 2097152\n[content]\nsharing_policy = "isolated"\n[collection]\nautomatic = false\n' +
        '[runtimes]\n"io.containerd.runc.v2" = "/usr/bin/shim"\n[shim]\ngrouping = "namespace"\ncgroup = "none"\nspares = 3\n' +
        '[mounters.erofs]\ncommand = "/usr/bin/erofsfuse"\n[proxy_plugins.stargz]\ntype = "snapshot"\naddress = "/run/stargz.sock"\n' +
        '[proxy_plugins.other]\ntype = "snapshot"\naddress = "/run/other.sock"\nsnapshotter = "overlayfs"\ncapabilities = ["remap-ids"]\n' +
        '[proxy_plugins.other.exports]\nroot = "/var/lib/other"\n' +
        '[proxy_plugins.crypt]\ntype = "diff"\naddress = "/run/crypt.sock"\n[diff]\norder = ["crypt", "walking"]\n',
    );
    assert.deepEqual(configOf("--config", path), {
      root: "/r",
      state: "/s",
      address: "/a.sock",
      ttrpcAddress: "/a.sock.ttrpc",
      logLevel: "debug",
      log: { segmentBytes: 2_097_152 },
      content: { sharing: "isolated" },
      collection: { automatic: false },
      runtimes: new Map([["io.containerd.runc.v2", "/usr/bin/shim"]]),
      shim: { grouping: "namespace", cgroup: "none", spares: 3 },
      mounters: new Map([["erofs", "/usr/bin/erofsfuse"]]),
      proxies: new Map([
        [
          "stargz",
          { type: "snapshot", address: "/run/stargz.sock", snapshotter: "stargz", capabilities: [], exports: {} },
        ],
        [
          "other",
          {
            type: "snapshot",
            address: "/run/other.sock",
            snapshotter: "overlayfs",
            capabilities: ["remap-ids"],
            exports: { root: "/var/lib/other" },
          },
        ],
        ["crypt", { type: "diff", address: "/run/crypt.sock", snapshotter: "crypt", capabilities: [], exports: {} }],
      ]),
      diff: { order: ["crypt", "walking"] },
    });
  });

  it("prefers a flag over the file", () => {
    const config = configOf(
      "--config",
      file('root = "/r"\nlog_level = "debug"\n'),
      "--root",
      "/flag",
      "--log-level",
      "warn",
    );
    assert.deepEqual([config.root, config.logLevel], ["/flag", "warn"]);
  });

  it("makes relative paths absolute", () => {
    const config = configOf("--root", "r", "--state", "./s", "--address", "a.sock");
    assert.deepEqual([config.root, config.state, config.address], [resolve("r"), resolve("s"), resolve("a.sock")]);
    assert.equal(config.ttrpcAddress, resolve("a.sock.ttrpc"));
  });

  it("takes an address of the greatest length and refuses a longer one", () => {
    const longest = `/${"a".repeat(addressBytesMax - 1)}`;
    assert.equal(configOf("--address", longest).address, longest);
    refuses(["--address", `${longest}a`], /has 102 bytes; a socket's path may have 101/);
  });

  it("names settings that it does not know", () => {
    refuses(
      ["--config", file('rooot = "/r"\ngrpc = 1\n')],
      /config\.toml: rooot, .*config\.toml: grpc: no such setting; known here: root, state/,
    );
    refuses(
      ["--config", file("[log]\nsegment_byte = 1\n")],
      /config\.toml: log\.segment_byte: no such setting; known here: segment_bytes/,
    );
  });

  it("refuses a setting of the wrong type", () => {
    refuses(["--config", file("root = 7\n")], /config\.toml: root must be a string/);
    refuses(["--config", file("log = 7\n")], /config\.toml: log must be a table/);
    refuses(["--config", file('[log]\nsegment_bytes = "64M"\n')], /log\.segment_bytes must be an integer from/);
    refuses(["--config", file("[log]\nsegment_bytes = 4096\n")], /log\.segment_bytes must be an integer from/);
    refuses(["--config", file('[runtimes]\nx = "bin/shim"\n')], /runtimes\.x must be the absolute path of a shim/);
    refuses(
      ["--config", file('[shim]\ngrouping = "pod"\n')],
      /shim\.grouping must be one of container, sandbox, namespace/,
    );
    refuses(["--config", file('[shim]\ncgroup = "pod"\n')], /shim\.cgroup must be one of container, none/);
    refuses(["--config", file("[shim]\nspares = 9\n")], /shim\.spares must be an integer from 0 to 8/);
    refuses(
      ["--config", file('[mounters.erofs]\ncommand = "x"\n')],
      /mounters\.erofs\.command must be an absolute path/,
    );
    refuses(["--config", file('[mounters.erofs]\npath = "/x"\n')], /mounters\.erofs\.path: no such setting/);
    const proxy = (name: string, rest: string) => ["--config", file(`[proxy_plugins."${name}"]\n${rest}\n`)];
    const socket = 'address = "/s"';
    refuses(proxy("p", `type = "cni"\n${socket}`), /proxy_plugins\.p\.type must be one of snapshot, diff/);
    refuses(proxy("p", 'type = "snapshot"'), /proxy_plugins\.p\.address must be an absolute path/);
    refuses(proxy("overlayfs", `type = "snapshot"\n${socket}`), /none of native, overlayfs, walking/);
    refuses(proxy("p", `type = "diff"\nsnapshotter = "o"\n${socket}`), /is for proxies of type snapshot/);
    refuses(["--config", file('[diff]\norder = ["p"]\n')], /each of .*diff\.order must be one of walking/);
    refuses(["--config", file("[diff]\norder = []\n")], /at least one name/);
    refuses(proxy("a/b", `type = "snapshot"\n${socket}`), /a name of letters/);
    refuses(proxy("p", `type = "snapshot"\n${socket}\nexports = { root = 7 }`), /exports must be a table of strings/);
  });

  it("refuses a file that is no TOML or is not there, and says which", () => {
    refuses(["--config", file("root = \n")], /cannot read the configuration .*config\.toml/);
    refuses(["--config", join(directory, "absent.toml")], /cannot read the configuration .*absent\.toml: ENOENT/);
  });

  it("refuses what cannot work", () => {
    refuses(["--log-level", "loud"], /must be one of fatal, error, .* not "loud"/);
    refuses(["--root", ""], /root must not be empty/);
    refuses(["--root", "/x", "--state", "/x"], /root and state are both \/x/);
    refuses(["--roots", "/x"], /Unknown option '--roots'/);
    refuses(["/x"], /Unexpected argument '\/x'/);
    refuses(["--root"], /argument missing/);
  });

  it("is not asked for when help or the version is", () => {
    assert.deepEqual(loadConfig(["--help", "--config", "/absent"]), { kind: "help" });
    assert.deepEqual(loadConfig(["--version"]), { kind: "version" });
  });
});
