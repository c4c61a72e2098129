/**
 * Diff.Diff on a snapshot of 20,000 files with 50 changed: the overlay form beside the generic walk, and beside containerd's, which walks. All
 * three are asked about the same mounts, in turn, so that they see the same machine.
 */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { withTemporaryMount } from "../../src/platform/mod.ts";
import { DiffDefinition } from "../../src/wire/gen/containerd/services/diff/v1/diff.ts";
import { SnapshotsDefinition } from "../../src/wire/gen/containerd/services/snapshots/v1/snapshots.ts";
import { containerd, shiplogd } from "../harness/daemons.ts";
import { serviceClient } from "../harness/grpc-client.ts";
import { median } from "./median.ts";

const FILES = 20_000;
const FILES_PER_DIRECTORY = 100;
const CHANGED = 50;
const ROUNDS = 7;
const namespace = "bench";
const snapshotter = "overlayfs";

export async function benchDiff(print: (line: string) => void): Promise<void> {
  const temporary = await mkdtemp(join(tmpdir(), "shiplog-bench-"));
  const daemons = [await shiplogd(["--log-level", "warn"]), await containerd()] as const;
  try {
    for (const daemon of daemons) await daemon.start();
    const snapshots = serviceClient(SnapshotsDefinition, daemons[0].address);
    const [ours, theirs] = daemons.map(({ address }) => serviceClient(DiffDefinition, address));
    const base = await snapshots.prepare({ snapshotter, key: "base" }, { namespace });
    await withTemporaryMount(base.mounts, temporary, fill);
    await snapshots.commit({ snapshotter, key: "base", name: "layer" }, { namespace });
    const { mounts: right } = await snapshots.prepare({ snapshotter, key: "top", parent: "layer" }, { namespace });
    await withTemporaryMount(right, temporary, change);
    const { mounts: left } = await snapshots.view({ snapshotter, key: "left", parent: "layer" }, { namespace });
    // An option that changes nothing and that the overlay form does not know.
    const walked = right.map((mount) => ({ ...mount, options: [...mount.options, "xino=off"] }));
    const forms = {
      overlay: () => ours!.diff({ left, right }, { namespace }),
      walk: () => ours!.diff({ left, right: walked }, { namespace }),
      containerd: () => theirs!.diff({ left, right }, { namespace }),
    };
    const times = { overlay: [] as number[], walk: [] as number[], containerd: [] as number[] };
    for (let round = 0; round <= ROUNDS; round++) {
      for (const form of ["overlay", "walk", "containerd"] as const) {
        const started = performance.now();
        await forms[form]();
        if (round > 0) times[form].push(performance.now() - started);
      }
    }
    for (const client of [snapshots, ours!, theirs!]) client.close();
    const [overlay, walk, reference] = [median(times.overlay), median(times.walk), median(times.containerd)];
    print(
      `diff of ${FILES} files, ${CHANGED} changed, median of ${ROUNDS}: overlay form ${overlay.toFixed(1)} ms, generic walk ${walk.toFixed(0)} ms, containerd ${reference.toFixed(0)} ms; ` +
        `overlay form / walk ${(overlay / walk).toFixed(3)}, overlay form / containerd ${(overlay / reference).toFixed(3)}, walk / containerd ${(walk / reference).toFixed(2)}`,
    );
  } finally {
    for (const daemon of daemons) await daemon.dispose();
    await rm(temporary, { recursive: true, force: true });
  }
}

const fileName = (number: number) => join(`d${Math.floor(number / FILES_PER_DIRECTORY)}`, `f${number}`);

async function fill(root: string): Promise<void> {
  for (let number = 0; number < FILES; number++) {
    if (number % FILES_PER_DIRECTORY === 0) await mkdir(join(root, fileName(number), ".."));
    await writeFile(join(root, fileName(number)), `content of ${number}`);
  }
}

async function change(root: string): Promise<void> {
  for (let number = 0; number < CHANGED; number++)
    await writeFile(join(root, fileName((number * FILES) / CHANGED)), `changed ${number}`);
}

if (import.meta.main) await benchDiff(console.log);
