/**
 * What a client waits for beside the real containerd: content of 4 KiB by 8 writers, one blob of 256 MiB, snapshots prepared and containers
 * created by 16 callers. The two daemons take turns on each, in the same run. Each writes on the same disk.
 */
import { randomBytes } from "node:crypto";
import { containerd, shiplogd, type TestDaemon } from "../harness/daemons.ts";
import { serviceClient } from "../harness/grpc-client.ts";
import { containers, content, snapshots } from "../../src/wire/mod.ts";
import { median } from "./median.ts";

const ROUNDS = 3;
const SMALL_BYTES = 4 * 1024;
const SMALL_WRITERS = 8;
const SMALL_EACH = 40;
const LARGE_BYTES = 256 * 1024 * 1024;
const LARGE_CHUNK_BYTES = 1024 * 1024;
const CALLERS = 16;
const EACH = 25;
const namespace = "bench";
const snapshotter = "overlayfs";
const { WRITE, COMMIT } = content.WriteAction;

interface Subject {
  readonly daemon: TestDaemon;
  readonly content: ReturnType<typeof serviceClient<typeof content.ContentDefinition>>;
  readonly snapshots: ReturnType<typeof serviceClient<typeof snapshots.SnapshotsDefinition>>;
  readonly containers: ReturnType<typeof serviceClient<typeof containers.ContainersDefinition>>;
}

let serial = 0;

/** Runs `call` for each of `callers` at once, `each` times one after the other. */
async function callers(count: number, each: number, call: () => Promise<unknown>): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, async () => {
      for (let done = 0; done < each; done++) await call();
    }),
  );
}

async function writeSmall({ content: client }: Subject): Promise<void> {
  const stream = client.write({ namespace });
  await stream.exchange({ action: COMMIT, ref: `small-${serial++}`, data: randomBytes(SMALL_BYTES) });
  stream.cancel();
}

async function writeLarge({ content: client }: Subject): Promise<void> {
  const stream = client.write({ namespace });
  const data = randomBytes(LARGE_CHUNK_BYTES);
  const ref = `large-${serial++}`;
  for (let offset = 0; offset < LARGE_BYTES; offset += data.length)
    await stream.exchange({ action: WRITE, ref, offset: BigInt(offset), data });
  await stream.exchange({ action: COMMIT, offset: BigInt(LARGE_BYTES) });
  stream.cancel();
}

const prepare = ({ snapshots: client }: Subject) =>
  client.prepare({ snapshotter, key: `key-${serial++}` }, { namespace });

const create = ({ containers: client }: Subject) =>
  client.create(
    {
      container: {
        id: `container-${serial++}`,
        runtime: { name: "io.containerd.runc.v2" },
        spec: {
          typeUrl: "types.containerd.io/opencontainers/runtime-spec/1/Spec",
          value: Buffer.from(JSON.stringify({ ociVersion: "1.0.2", hostname: "h".repeat(2000) })),
        },
      },
    },
    { namespace },
  );

const measures: readonly {
  readonly name: string;
  readonly operations: number;
  readonly run: (subject: Subject) => Promise<void>;
}[] = [
  {
    name: `content of 4 KiB, ${SMALL_WRITERS} writers`,
    operations: SMALL_WRITERS * SMALL_EACH,
    run: (subject) => callers(SMALL_WRITERS, SMALL_EACH, () => writeSmall(subject)),
  },
  { name: "content of 256 MiB", operations: 1, run: writeLarge },
  {
    name: `snapshot prepare, ${CALLERS} callers`,
    operations: CALLERS * EACH,
    run: (subject) => callers(CALLERS, EACH, () => prepare(subject)),
  },
  {
    name: `container create, ${CALLERS} callers`,
    operations: CALLERS * EACH,
    run: (subject) => callers(CALLERS, EACH, () => create(subject)),
  },
];

export async function benchServices(print: (line: string) => void): Promise<void> {
  const daemons = [await shiplogd(["--log-level", "warn"]), await containerd()] as const;
  try {
    const subjects: Subject[] = [];
    for (const daemon of daemons) {
      await daemon.start();
      subjects.push({
        daemon,
        content: serviceClient(content.ContentDefinition, daemon.address),
        snapshots: serviceClient(snapshots.SnapshotsDefinition, daemon.address),
        containers: serviceClient(containers.ContainersDefinition, daemon.address),
      });
    }
    for (const { name, operations, run } of measures) {
      const times: number[][] = [[], []];
      for (let round = 0; round <= ROUNDS; round++) {
        for (const [index, subject] of subjects.entries()) {
          const started = performance.now();
          await run(subject);
          if (round > 0) times[index]!.push((performance.now() - started) / operations);
        }
      }
      const [ours, theirs] = times.map(median);
      const ratio = median(times[0]!.map((time, index) => time / times[1]![index]!));
      print(
        `${name}: shiplogd ${ours!.toFixed(2)} ms each, containerd ${theirs!.toFixed(2)} ms each, ratio ${ratio.toFixed(2)}`,
      );
    }
    for (const subject of subjects)
      for (const client of [subject.content, subject.snapshots, subject.containers]) client.close();
  } finally {
    for (const daemon of daemons) await daemon.dispose();
  }
}

if (import.meta.main) await benchServices(console.log);
