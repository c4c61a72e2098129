/**
 * What the model has found, each as the shortest script that shows it: where containerd surprises, and what was wrong with shiplog. The model
 * says what each of the two does.
 */

export interface Pinned {
  readonly name: string;
  readonly script: string;
}

export const pinned: readonly Pinned[] = [
  {
    name: "a write that is refused for its lease leaves the upload as it was, though its total is another",
    script: `
      content write --total 2000 x a
      content write --lease y --total 1000 x a
      content status x
    `,
  },
  {
    name: "containerd 1.6 makes the namespace of a snapshot that it refuses for its lease",
    script: `
      snapshots --snapshotter native prepare --lease x k0
      namespaces create here
    `,
  },
  {
    name: "containerd 1.6 does not make a namespace that an update gives no label",
    script: `
      namespaces label here
      namespaces remove here
    `,
  },
  {
    name: "containerd 1.6 does not take a snapshot that exists into the lease of who makes it again",
    script: `
      leases create --id x
      snapshots --snapshotter native prepare k0
      snapshots --snapshotter native prepare --lease x k0
      leases resources x
    `,
  },
  {
    name: "an unknown lease is told before a parent that is not committed, or after it",
    script: `
      snapshots --snapshotter native prepare k0
      snapshots --snapshotter native prepare --lease x k1 k0
      snapshots --snapshotter native view k1
      snapshots --snapshotter native commit --lease x k2 k1
    `,
  },
  {
    name: "containerd 1.6 goes on with the bytes of an upload whose namespace was deleted",
    script: `
      content write x a
      namespaces remove here
      content write --offset 1 x b
      content status x
    `,
  },
  {
    name: "containerd 1.6 leaves what was behind an upload that starts over with another total",
    script: `
      content write --total 2000 x ab
      content write --total 1000 x a
      content status x
      content write --offset 2 x b
    `,
  },
  {
    name: "containerd 1.6 collects what an upload expects, for it forgets that it does",
    script: `
      leases create --id x
      content ingest --expected @a x b
      content ingest y a
      leases delete --sync x
      content info @a
    `,
  },
  {
    name: "containerd 1.6 keeps an upload that goes on without the lease under which it was begun",
    script: `
      leases create --id x
      content write --lease x x a
      content write --offset 1 x b
      leases delete --sync x
      content status x
    `,
  },
  {
    name: "containerd 1.6 takes deleted content for that of an upload which expects it, until it is collected",
    script: `
      content ingest x a
      content delete @a
      content ingest --offset 1 --expected @a y
      content read @a
    `,
  },
  {
    name: "containerd 1.6 puts what expects deleted content behind what an earlier writer left",
    script: `
      content ingest x a
      content delete @a
      content write y b
      content ingest --expected @a y a
      content status y
    `,
  },
  {
    name: "containerd 1.6 tells of such an upload only what the last message has written",
    script: `
      content ingest x a
      content delete @a
      content write x a
      content ingest --expected @a x
    `,
  },
  {
    name: "containerd 1.6 leaves the file of an upload that is aborted while it shares deleted content",
    script: `
      content ingest x a
      content delete @a
      content write y b
      content ingest --expected @a y b
      content abort y
      content write --offset 1 y a
    `,
  },
  {
    name: "leases hold images since 2.0",
    script: `
      leases create --id x
      leases add x 'images x'
      leases resources x
    `,
  },
];

/** The same, of containers that run. */
export const pinnedTasks: readonly Pinned[] = [
  {
    name: "a process that a task's deletion ended has exited once",
    script: `
      containers create x
      tasks create x
      tasks delete x
    `,
  },
  {
    name: "a process of no program is deleted like one that has ended",
    script: `
      containers create x
      tasks create x
      tasks exec --exec-id e0 --program /missing x
      tasks start --exec-id e0 x
      tasks info --exec-id e0 x
      tasks delete --exec-id e0 x
    `,
  },
  {
    name: "a task that was killed before its start is deleted with its processes",
    script: `
      containers create x
      tasks create x
      tasks exec --exec-id e0 x
      tasks start --exec-id e0 x
      tasks kill x
      tasks delete x
    `,
  },
];
