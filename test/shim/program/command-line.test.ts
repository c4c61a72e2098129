import assert from "node:assert/strict";
import { test } from "node:test";
import { answerText } from "../../../src/shim/program/answer.ts";
import {
  assignmentOfAdopt,
  adoptRequestOf,
  assignmentOfStart,
  shimCgroupOf,
} from "../../../src/shim/program/assignment.ts";
import { parseCommandLine } from "../../../src/shim/program/command-line.ts";
import { Options } from "../../../src/wire/gen/containerd/runc/v1/options.ts";
import { Any } from "../../../src/wire/gen/google/protobuf/any.ts";

test("a command line is read as Go reads it", () => {
  const line = parseCommandLine(
    "-namespace ns --address=/run/c.sock -publish-binary /bin/c -id x1 -debug start".split(" "),
  );
  assert.deepEqual(line, {
    namespace: "ns",
    id: "x1",
    address: "/run/c.sock",
    bundle: undefined,
    debug: true,
    showsVersion: false,
    showsInfo: false,
    action: "start",
  });
  assert.equal(parseCommandLine(["-v"]).showsVersion, true);
  assert.equal(parseCommandLine(["-debug=false", "delete"]).debug, false);
  assert.equal(parseCommandLine(["-id", "-v", "start", "serve"]).action, "serve");
});

test("a command line with a flag that is none is refused", () => {
  assert.throws(() => parseCommandLine(["-nope", "start"]), /flag provided but not defined: -nope/);
  assert.throws(() => parseCommandLine(["-id"]), /flag needs an argument: -id/);
});

test("an answer is the bare address, but for daemons that speak a later version", () => {
  assert.equal(answerText("unix:///s", undefined), "unix:///s");
  assert.equal(answerText("unix:///s", "2"), "unix:///s");
  assert.equal(answerText("unix:///s", "nonsense"), "unix:///s");
  assert.deepEqual(JSON.parse(answerText("unix:///s", "4")), { version: 3, address: "unix:///s", protocol: "ttrpc" });
});

test("an assignment is the same from a command line and from an Adopt call", () => {
  const options = {
    typeUrl: "containerd.runc.v1.Options",
    value: Buffer.from(Options.encode(Options.create({ shimCgroup: "/shims" })).finish()),
  };
  const line = parseCommandLine("-namespace ns -address /run/c.sock -id x1 start".split(" "));
  const environment = {
    TTRPC_ADDRESS: "/run/c.sock.ttrpc",
    SHIPLOG_SHIM_GROUPING: "namespace",
    SHIPLOG_SHIM_CGROUP: "container",
  };
  const assignment = assignmentOfStart(line, environment, "/b/x1", Any.encode(options).finish());
  assert.deepEqual(
    { ...assignment, options: undefined },
    {
      namespace: "ns",
      id: "x1",
      bundle: "/b/x1",
      daemonAddress: "/run/c.sock",
      ttrpcAddress: "/run/c.sock.ttrpc",
      options: undefined,
      grouping: "namespace",
      joinsContainerCgroup: true,
      debug: false,
    },
  );
  assert.equal(shimCgroupOf(assignment.options), "/shims");
  assert.deepEqual(assignmentOfAdopt(adoptRequestOf(assignment)), assignment);
});

test("an assignment that makes no sense is refused", () => {
  const line = parseCommandLine("-namespace ns -address /run/c.sock -id x1 start".split(" "));
  const nothing = new Uint8Array();
  assert.throws(() => assignmentOfStart({ ...line, namespace: "" }, {}, "/b", nothing), /namespace cannot be empty/);
  assert.throws(
    () => assignmentOfStart(line, { SHIPLOG_SHIM_GROUPING: "pod" }, "/b", nothing),
    /"pod": not one of container, sandbox, namespace/,
  );
  assert.throws(() => assignmentOfStart(line, { SHIPLOG_SHIM_CGROUP: "own" }, "/b", nothing), /not "container"/);
  assert.throws(() => assignmentOfStart(line, {}, "/b", Buffer.from("junk")));
  assert.equal(shimCgroupOf({ typeUrl: "runtimeoptions.v1.Options", value: Buffer.from("junk") }), undefined);
});
