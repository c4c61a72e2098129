/**
 * No client can tell shiplogd from containerd: the same gRPC calls on both, compared by status, reply and the events that they cause. What is
 * meant to differ is in differences.ts. The reference is Debian's containerd, or the one whose path SHIPLOG_REFERENCE_CONTAINERD holds.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "../../src/cli/client.ts";
import * as wire from "../../src/wire/mod.ts";
import { containerd, shiplogd, type TestDaemon } from "../harness/daemons.ts";
import { scenarios } from "./calls/mod.ts";
import { compare } from "./comparison.ts";
import { type Difference, differences, type ReferenceVersion } from "./differences.ts";
import { Recording } from "./recording.ts";
import type { ComparedCall } from "./scenario.ts";

/** Runs only the scenarios whose names begin with this, to work on them; the checks of completeness are left out then. */
const only = process.env.SHIPLOG_SCENARIO ?? "";

/** Those that containerd 1.6 tells of by itself; Canceled and DeadlineExceeded a client tells itself. */
const classes = [
  ...[
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "FAILED_PRECONDITION",
    "OUT_OF_RANGE",
    "UNAVAILABLE",
  ],
  ...["UNIMPLEMENTED", "INTERNAL", "RESOURCE_EXHAUSTED"],
];

test("every call gets the status, the reply and the events that it gets from containerd", async (t) => {
  const [reference, ours] = await Promise.all([recording(t, await containerd()), recording(t, await shiplogd())]);
  const version = await versionOf(reference.daemon);
  const taken = new Set<Difference>();
  const codes = new Set<string>();
  let compared = 0;
  for (const scenario of scenarios.filter(({ name }) => name.startsWith(only))) {
    // One after the other: containers of both have the same names, which runc keeps in one place.
    const isLeftOut = ({ deadly }: ComparedCall) => deadly && version === "1.7";
    const expected = await reference.run(scenario, isLeftOut);
    const actual = await ours.run(scenario, isLeftOut);
    await t.test(scenario.name, async (t) => {
      for (const [index, { name }] of scenario.calls.entries()) {
        const [theirs, own] = [expected[index], actual[index]];
        if (theirs === undefined || own === undefined) continue;
        const comparison = compare(`${scenario.name}: ${name}`, theirs, own, differences, version);
        for (const difference of comparison.taken) taken.add(difference);
        codes.add(theirs.code);
        compared += 1;
        await t.test(name, () => assert.deepEqual(comparison.ours, comparison.reference));
      }
    });
  }
  t.diagnostic(`${compared} calls compared with containerd ${version}; ${taken.size} named differences`);
  if (only !== "") return;
  assert.deepEqual(
    classes.filter((code) => !codes.has(code)),
    [],
    "classes of errors that no call met",
  );
  const needed = ({ reference }: Difference) => (reference ?? version) === version;
  const stale = differences.filter((difference) => needed(difference) && !taken.has(difference));
  assert.deepEqual(
    stale.map(({ name }) => name),
    [],
    "differences that are none any more",
  );
});

test("every RPC of every service that containerd 1.6 has is among the calls", () => {
  const paths = new Set(scenarios.flatMap(({ calls }) => calls.map(({ path }) => path)));
  const services = [
    ...[
      wire.containers.ContainersDefinition,
      wire.content.ContentDefinition,
      wire.diff.DiffDefinition,
      wire.events.EventsDefinition,
    ],
    ...[wire.eventsTtrpc.EventsDefinition, wire.health.HealthDefinition, wire.images.ImagesDefinition],
    ...[wire.introspection.IntrospectionDefinition, wire.leases.LeasesDefinition, wire.namespaces.NamespacesDefinition],
    ...[wire.snapshots.SnapshotsDefinition, wire.tasks.TasksDefinition, wire.version.VersionDefinition],
  ];
  const all = services.flatMap(({ fullName, methods }) =>
    Object.values(methods).map(({ name }) => `/${fullName}/${name}`),
  );
  assert.deepEqual(
    all.filter((path) => !paths.has(path)),
    [],
  );
});

test("no two calls of a scenario have the same name", () => {
  const names = scenarios.flatMap(({ name, calls }) => calls.map((call) => `${name}: ${call.name}`));
  assert.deepEqual(
    names.filter((name, index) => names.indexOf(name) !== index),
    [],
  );
});

async function recording(t: { after(end: () => Promise<void>): void }, daemon: TestDaemon): Promise<Recording> {
  t.after(() => daemon.dispose());
  await daemon.start();
  const recording = await Recording.start(daemon);
  t.after(() => recording.close());
  return recording;
}

async function versionOf(daemon: TestDaemon): Promise<ReferenceVersion> {
  const connection = connect(daemon.address);
  const { version } = await connection.service(wire.version.VersionDefinition).version({});
  connection.close();
  const line = /^(1\.[67])\./.exec(version)?.[1];
  assert.ok(line === "1.6" || line === "1.7", `the reference is containerd ${version}`);
  return line;
}
