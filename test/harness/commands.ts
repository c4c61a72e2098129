/** Arbitrary steps over a few entities, so that random sequences make, change, end and make again. */
import fc from "fast-check";
import type { Step } from "../../src/ledger.ts";

export const namespaces = ["a", "b"] as const;

const key = fc.constantFrom("x", "y", "z");
const labels = fc.dictionary(fc.constantFrom("p", "q/r", "s.t"), fc.string({ minLength: 1, maxLength: 5 }), {
  maxKeys: 3,
});
const target = fc.record({
  mediaType: fc.constant("application/vnd.oci.image.manifest.v1+json"),
  digest: fc.constant(`sha256:${"a".repeat(64)}`),
  size: fc.constantFrom(1, 4_294_967_296, 9_007_199_254_740_991),
  annotations: labels,
});

const image = fc.oneof(
  fc.record({ type: fc.constant("CreateImage" as const), name: key, target, labels }),
  fc.record({ type: fc.constant("UpdateImage" as const), name: key, labels }),
  fc.record({ type: fc.constant("DeleteImage" as const), name: key }),
);

const lease = fc.oneof(
  fc.record({ type: fc.constant("CreateLease" as const), id: key, labels }),
  fc.record({
    type: fc.constant("AddLeaseResource" as const),
    id: key,
    resource: fc.record({ type: fc.constant("content"), id: key }),
  }),
  fc.record({ type: fc.constant("DeleteLease" as const), id: key }),
);

const exit = { pid: 7, status: 3, exitedAt: 5n, known: true };
const io = { stdin: "", stdout: "", stderr: "", terminal: false };

/** A task's life in order; cut anywhere it leaves the task in some state. */
const task = fc.constantFrom(
  { type: "CreateTask", id: "x", bundle: "/b", runtime: "r", rootfs: [], io, options: null, checkpoint: "" } as const,
  { type: "RecordCreated", pid: 7, shim: { address: "unix:///s", version: 2 } } as const,
  { type: "StartTask", id: "x" } as const,
  { type: "RecordStarted", pid: 7 } as const,
  { type: "RecordExited", exit } as const,
  { type: "DeleteTask", id: "x" } as const,
  { type: "RecordDeleted", exit } as const,
);

export const step: fc.Arbitrary<Step> = fc
  .tuple(
    fc.constantFrom(...namespaces),
    fc.oneof(
      image.map((command) => ({ kind: "image" as const, key: command.name, command })),
      lease.map((command) => ({ kind: "lease" as const, key: command.id, command })),
      task.map((command) => ({ kind: "task" as const, key: "x", command })),
    ),
  )
  .map(([namespace, rest]) => ({ ...rest, namespace }));
