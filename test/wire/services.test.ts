import assert from "node:assert/strict";
import { test } from "node:test";
import * as wire from "../../src/wire/mod.ts";

/** Methods as containerd 1.6 names them; `<` marks a stream from the client, `>` one from the server. */
const services: readonly [wire.ServiceDefinition, fullName: string, methods: string][] = [
  [
    wire.containers.ContainersDefinition,
    "containerd.services.containers.v1.Containers",
    "Get List ListStream> Create Update Delete",
  ],
  [
    wire.content.ContentDefinition,
    "containerd.services.content.v1.Content",
    "Info Update List> Delete Read> Status ListStatuses Write<> Abort",
  ],
  [wire.diff.DiffDefinition, "containerd.services.diff.v1.Diff", "Apply Diff"],
  [wire.events.EventsDefinition, "containerd.services.events.v1.Events", "Publish Forward Subscribe>"],
  [wire.eventsTtrpc.EventsDefinition, "containerd.services.events.ttrpc.v1.Events", "Forward"],
  [wire.images.ImagesDefinition, "containerd.services.images.v1.Images", "Get List Create Update Delete"],
  [wire.introspection.IntrospectionDefinition, "containerd.services.introspection.v1.Introspection", "Plugins Server"],
  [
    wire.leases.LeasesDefinition,
    "containerd.services.leases.v1.Leases",
    "Create Delete List AddResource DeleteResource ListResources",
  ],
  [
    wire.namespaces.NamespacesDefinition,
    "containerd.services.namespaces.v1.Namespaces",
    "Get List Create Update Delete",
  ],
  [
    wire.snapshots.SnapshotsDefinition,
    "containerd.services.snapshots.v1.Snapshots",
    "Prepare View Mounts Commit Remove Stat Update List> Usage Cleanup",
  ],
  [
    wire.tasks.TasksDefinition,
    "containerd.services.tasks.v1.Tasks",
    "Create Start Delete DeleteProcess Get List Kill Exec ResizePty CloseIO Pause Resume ListPids Checkpoint Update" +
      " Metrics Wait",
  ],
  [wire.version.VersionDefinition, "containerd.services.version.v1.Version", "Version"],
  [
    wire.shim.TaskDefinition,
    "containerd.task.v2.Task",
    "State Create Start Delete Pids Pause Resume Checkpoint Kill Exec ResizePty CloseIO Update Wait Stats Connect" +
      " Shutdown",
  ],
  [wire.health.HealthDefinition, "grpc.health.v1.Health", "Check Watch>"],
  [wire.shiplogShim.ShimDefinition, "shiplog.shim.v1.Shim", "Adopt ReopenLogs"],
  [wire.collection.CollectionDefinition, "shiplog.collection.v1.Collection", "Collect> Check>"],
  [wire.log.LogDefinition, "shiplog.events.v1.Log", "Read> Head StateAt> Verify Rebuild"],
  [wire.shiplogSnapshots.SnapshotsDefinition, "shiplog.snapshots.v1.Snapshots", "Take List> Diff> Restore Export"],
  [wire.shiplogVolumes.VolumesDefinition, "shiplog.snapshots.v1.Volumes", "Create List> Remove Snapshot RollBack"],
  [wire.query.QueryDefinition, "shiplog.query.v1.Query", "Get List Watch> Put Delete"],
];

for (const [definition, fullName, methods] of services) {
  test(`${fullName} has the methods of the API when generated`, () => {
    assert.equal(definition.fullName, fullName);
    const generated = Object.values(definition.methods).map(
      ({ name, requestStream, responseStream }) => name + (requestStream ? "<" : "") + (responseStream ? ">" : ""),
    );
    assert.equal(generated.join(" "), methods);
  });
}

test("no service is exported without a row in the table", () => {
  const exported = Object.values(wire)
    .flatMap((face) => (typeof face === "object" ? Object.entries(face) : []))
    .filter(([name]) => name.endsWith("Definition"))
    .map(([, definition]) => definition);
  assert.deepEqual(new Set(exported), new Set(services.map(([definition]) => definition)));
});
