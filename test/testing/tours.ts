/** Scripts that go through every transition that clients can bring about, so that whether all are taken is not left to chance. */

export const recordTours: readonly string[] = [
  `
    namespaces create here p=1
    namespaces label here --only p p=2
    leases create --id x
    namespaces remove here
    namespaces label here p=1
    events publish /some/topic
    events publish /some/topic
  `,
  `
    containers create x
    containers update --only labels.p x p=1
    containers delete x
    images create x @a
    images update x @b
    images delete x
  `,
  `
    leases create --id x
    leases create --id y containerd.io/gc.expire=2020-01-01T00:00:00Z
    leases add x 'content @a'
    leases drop x 'content @a'
    content ingest x a
    leases delete --sync x
    leases create --id x
    content ingest x b
    leases delete --sync x
  `,
  `
    content write x a
    content write --offset 1 x b
    content ingest --offset 2 x
    content label @ab p=1
    content delete @ab
    content write y a
    content abort y
  `,
  `
    snapshots --snapshotter native prepare k0
    snapshots --snapshotter native label k0 p=1
    snapshots --snapshotter native commit k1 k0
    snapshots --snapshotter native label k1 p=1
    snapshots --snapshotter native view k2 k1
    snapshots --snapshotter native label k2 p=1
    snapshots --snapshotter native remove k2
    snapshots --snapshotter native remove k1
    snapshots --snapshotter native prepare k0
    snapshots --snapshotter native remove k0
  `,
];

export const taskTours: readonly string[] = [
  `
    containers create x
    tasks create x
    tasks update x
    tasks exec --exec-id e0 x
    tasks delete --exec-id e0 x
    tasks exec --exec-id e0 x
    tasks start --exec-id e0 x
    tasks kill --exec-id e0 x
    tasks delete --exec-id e0 x
    tasks exec --exec-id e1 --program /missing x
    tasks start --exec-id e1 x
    tasks start x
    tasks update x
    tasks exec --exec-id e0 --program /missing x
    tasks start --exec-id e0 x
    tasks delete --exec-id e0 x
    tasks exec --exec-id e0 x
    tasks start --exec-id e0 x
    tasks kill --exec-id e0 x
    tasks pause x
    tasks update x
    tasks delete --exec-id e0 x
    tasks resume x
    tasks exec --exec-id e0 x
    tasks kill x
    tasks delete --exec-id e0 x
    tasks delete x
  `,
  `
    containers create x
    tasks create x
    tasks kill x
    tasks delete x
    tasks create x
    tasks delete x
  `,
  `
    containers create --program /missing x
    tasks create x
  `,
];
