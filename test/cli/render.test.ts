import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { stripVTControlCharacters, styleText } from "node:util";
import fc from "fast-check";
import { Packr } from "msgpackr";
import { factSummary } from "../../src/cli/render/fact-summary.ts";
import { bytes, Columns, EventLines, factJson, historyLines, plain, printable, rowJson, rowSummary, shortDigest } from "../../src/cli/render/mod.ts";
import type { Value } from "../../src/cli/render/fields.ts";
import { schemaVersions } from "../../src/events/catalogue.ts";
import { Row } from "../../src/wire/gen/shiplog/events/v1/log.ts";
import { facts } from "./facts.ts";

process.env.TZ = "UTC";

describe("a history", () => {
  it("stands under who asked and in which request", () => {
    assert.deepEqual(historyLines(facts.slice(0, 5), true, plain), [
      "uid 0 gid 0 pid 99, request aa01",
      "    0  2023-11-14T22:13:20.123+00:00  container/web  ContainerCreated  image docker.io/library/busybox:1 · io.containerd.runc.v2 · tier=front",
      "uid 0 gid 0 pid 99, request aa02",
      "    1  2023-11-14T22:13:21.123+00:00  task/web       TaskCreating      io.containerd.runc.v2",
      "    2  2023-11-14T22:13:22.123+00:00  task/web       TaskCreated       pid 4321  because of 1",
      "uid 0 gid 0 pid 99, request aa03",
      "    3  2023-11-14T22:13:23.123+00:00  task/web       TaskSignalling    SIGKILL · to every process",
      "shim (uid 0 gid 0 pid 99)",
      "    4  2023-11-14T22:13:24.123+00:00  task/web       TaskExited        pid 4321 · status 137 (SIGKILL)",
    ]);
  });

  it("leaves the stream out when it is of one", () => {
    assert.equal(historyLines(facts.slice(2, 3), false, plain)[1], "    2  2023-11-14T22:13:22.123+00:00  TaskCreated  pid 4321  because of 1");
  });
});

describe("events", () => {
  it("are one line a fact under a heading", () => {
    const lines = new EventLines(plain);
    assert.deepEqual([lines.heading(), ...facts.slice(4).map((fact) => lines.line(fact))], [
      "  POS  TIME                           NAMESPACE   STREAM                    FACT",
      "    4  2023-11-14T22:13:24.123+00:00  default     task/web                  TaskExited        pid 4321 · status 137 (SIGKILL)",
      "    5  2023-11-14T22:13:25.123+00:00  default     task/web                  TaskCreateFailed  no such file: \\u001b[31mred\\u000anext line",
      "    6  2023-11-14T22:13:26.123+00:00  default     snapshot/overlayfs/web    SnapshotSealed    from w · 1.2 MB · 12 inodes",
      "    7  2023-11-14T22:13:27.123+00:00  default     future/x                  FutureHappened    colour blue · count 3",
    ]);
  });

  it("hold the same text with colours as without", () => {
    const plainLines = new EventLines(plain);
    const coloured = new EventLines((format, text) => styleText(format, text, { validateStream: false }));
    for (const fact of facts) assert.equal(stripVTControlCharacters(coloured.line(fact)), plainLines.line(fact));
  });
});

describe("the JSON of a fact", () => {
  it("has its place, its origin and its data", () => {
    assert.deepEqual(JSON.parse(factJson(facts[2]!)), {
      position: 2,
      time: "2023-11-14T22:13:22.123456789Z",
      namespace: "default",
      stream: "task/web",
      version: 2,
      type: "TaskCreated",
      principal: { uid: 0, gid: 0, pid: 99, client: "" },
      request: "aa02",
      cause: 1,
      data: { pid: 4321, shim: { address: "unix:///s", version: 2 } },
    });
  });

  it("shows bytes as base64 and integers that JSON would round as strings", () => {
    assert.equal(JSON.parse(factJson(facts[0]!)).data.spec.value, "e30=");
    assert.equal(JSON.parse(factJson(facts[4]!)).data.exitedAt, "1700000000123456789");
    assert.equal(JSON.parse(factJson({ ...facts[0]!, position: 2n ** 60n })).position, "1152921504606846976");
  });
});

describe("a row", () => {
  it("is one object in JSON", () => {
    const value = new Packr({ useRecords: false }).pack({ status: "running", createdAt: 1_700_000_000_123_456_789n });
    const row = Row.fromPartial({ table: "task", namespace: "default", key: "web", streamVersion: 3n, position: 9n, value });
    assert.deepEqual(JSON.parse(rowJson(row)), {
      ...{ table: "task", namespace: "default", key: "web", version: 3, position: 9 },
      value: { status: "running", createdAt: "1700000000123456789" },
    });
  });

  it("is summed up by its table", () => {
    assert.equal(rowSummary("task", { status: "stopped", pid: 7, exit: { status: 137 } }), "stopped · pid 7 · status 137");
    assert.equal(rowSummary("task", { status: "running", pid: 7, exit: null }), "running · pid 7");
    assert.equal(rowSummary("snapshot", { status: "active", parent: "base" }), "active · on base");
    assert.equal(rowSummary("future", { status: "new" }), "");
  });
});

describe("a summary", () => {
  it("is there for every type of fact, whatever the payload holds", () => {
    const anything = fc.anything({ withBigInt: true, maxDepth: 3 }).map((value) => value as Value);
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(schemaVersions), "FutureHappened"), anything, (type, data) => {
        assert.equal(typeof factSummary(type, data), "string");
      }),
    );
  });

  it("says so when the true exit status is not known", () => {
    assert.equal(factSummary("TaskExited", { pid: 1, status: 255, known: false }), "pid 1 · status 255 · the true status is not known");
  });
});

describe("text from the log", () => {
  it("cannot steer a terminal", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        // biome-ignore lint/suspicious/noControlCharactersInRegex: these must not come out
        assert.doesNotMatch(printable(text), /[\u0000-\u001f\u007f-\u009f\u202e]/);
      }),
    );
  });

  it("keeps ordinary characters", () => {
    assert.equal(printable("naïve 名前 🚢"), "naïve 名前 🚢");
  });

  it("shows sizes and digests as people compare them", () => {
    assert.deepEqual([0, 999, 1000, 1_234_567, 123_456_789].map(bytes), ["0 B", "999 B", "1.0 kB", "1.2 MB", "123 MB"]);
    assert.equal(shortDigest(`sha256:${"0123456789abcdef".repeat(4)}`), "sha256:0123456789ab");
    assert.equal(shortDigest("web"), "web");
  });
});

describe("columns", () => {
  it("never get narrower, and one odd cell does not push the others away", () => {
    const columns = new Columns([4]);
    assert.equal(columns.line(["a", "b"]), "a     b");
    assert.equal(columns.line(["longer", "b"]), "longer  b");
    assert.equal(columns.line(["a", "b"]), "a       b");
    assert.equal(columns.line(["x".repeat(200), "b"]), `${"x".repeat(200)}  b`);
    assert.equal(columns.line(["a", "b"]), `a${" ".repeat(65)}b`);
  });
});
