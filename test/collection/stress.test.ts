/**
 * Clients that import, run, tag, prune and let leases run out, all at once, while collections never stop: nothing that should be there goes,
 * nothing that should go stays, and the machine holds what the tables say.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { status } from "@grpc/grpc-js";
import { connect } from "../../src/cli/client.ts";
import { collection } from "../../src/wire/mod.ts";
import { ctr } from "../harness/ctr.ts";
import { shiplogd, type TestDaemon } from "../harness/daemons.ts";
import { buildImage, imageName } from "../harness/image.ts";
import { removeRuncTraces } from "../harness/runc-traces.ts";
import { Client, digestOf } from "./remains.ts";

const program = join(fileURLToPath(new URL("../../bin", import.meta.url)), "shiplog");
const lastsMs = 12_000;
/** Far longer than a round takes: a client has to be done while its lease lasts. */
const leaseMs = 8_000;
const writers = 4;
const ctrNamespaces = ["gc-stress-a", "gc-stress-b"];
const shared = "gc-stress";

/** What a writer has made and means to keep. */
interface Kept {
  readonly image: string;
  readonly texts: readonly string[];
  readonly snapshot: string;
  readonly container: string;
}

/** One writer's rounds: makes an image with layers and a container under a lease, looks at all it keeps, and prunes some of it. */
async function write(client: Client, writer: number, until: number): Promise<readonly Kept[]> {
  const kept: Kept[] = [];
  for (let round = 0; Date.now() < until; round += 1) {
    const name = `w${writer}-${round}`;
    const lease = `${name}-lease`;
    // Some leases are left to run out by themselves.
    const left = round % 3 === 0;
    await client.lease(lease, left ? { "containerd.io/gc.expire": new Date(Date.now() + leaseMs).toISOString() } : {});
    // The layer is every writer's, so that the same content loses and finds references all the time.
    const texts = [`layer ${round % 3}`, `config ${name}`];
    const top = `${name}-layer`;
    await client.blob(texts[0]!, {}, lease).catch(ignoreThatItExists);
    const labels = { "containerd.io/gc.ref.snapshot.native": top };
    await client.blob(texts[1]!, labels, lease);
    const references = Object.fromEntries(
      texts.map((text, index) => [`containerd.io/gc.ref.content.${index}`, digestOf(text)]),
    );
    const manifest = `manifest ${name}`;
    await client.blob(manifest, references, lease);
    await client.prepare(`${name}-work`, "", {}, lease);
    await client.commit(`${name}-work`, top, {}, lease);
    await client.image(name, digestOf(manifest));
    await client.prepare(`${name}-run`, top, {}, lease);
    await client.container(name, `${name}-run`);
    if (!left) await client.deleteLease(lease, round % 2 === 0);
    kept.push({ image: name, texts: [...texts, manifest], snapshot: `${name}-run`, container: name });
    for (const each of kept) await look(client, each);
    if (kept.length > 3) {
      const pruned = kept.shift()!;
      await client.deleteContainer(pruned.container);
      await client.deleteImage(pruned.image, round % 2 === 1);
    }
  }
  return kept;
}

async function look(client: Client, { texts, snapshot }: Kept): Promise<void> {
  for (const text of texts) assert.equal(await client.read(digestOf(text)), text);
  assert.ok(await client.isMountable(snapshot), `${snapshot} can be mounted`);
}

const ignoreThatItExists = (error: unknown): void => {
  // Another writer's; the lease holds it all the same.
  if ((error as { code?: unknown }).code !== status.ALREADY_EXISTS) throw error;
};

/** ctr's rounds in a namespace of its own: import, run, tag, remove, run by the other name, remove. */
async function drive(daemon: TestDaemon, namespace: string, archive: string, until: number): Promise<number> {
  let rounds = 0;
  const command = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await ctr(daemon.address, namespace, args);
    assert.equal(code, 0, `ctr ${args.join(" ")}: ${stderr}`);
    return stdout;
  };
  do {
    const tag = `example.test/tag:${rounds}`;
    await command("images", "import", archive);
    assert.match(
      await command("run", "--rm", "--snapshotter", "native", imageName, `r${rounds}`, "echo", "first"),
      /first/,
    );
    await command("images", "tag", imageName, tag);
    await command("images", "rm", "--sync", imageName);
    assert.match(
      await command("run", "--rm", "--snapshotter", "native", tag, `t${rounds}`, "echo", "second"),
      /second/,
    );
    await command("images", "rm", tag);
    rounds += 1;
  } while (Date.now() < until);
  return rounds;
}

test("nothing reachable is collected and nothing is left over when clients come and go while collections run", async (t) => {
  const daemon = await shiplogd();
  t.after(async () => {
    await daemon.dispose();
    for (const namespace of ctrNamespaces) await removeRuncTraces(namespace);
  });
  await daemon.start();
  const images = join(daemon.paths.directory, "image");
  await mkdir(images);
  const { archive } = await buildImage(images);
  const client = new Client(daemon.address, shared);
  const connection = connect(daemon.address);
  t.after(async () => {
    client.close();
    connection.close();
  });

  const until = Date.now() + lastsMs;
  const { collect } = connection.service(collection.CollectionDefinition);
  let collections = 0;
  const collecting = (async () => {
    while (Date.now() < until) {
      await Array.fromAsync(collect({}));
      collections += 1;
    }
  })();
  const [kept, rounds] = await Promise.all([
    Promise.all(Array.from({ length: writers }, (_, writer) => write(client, writer, until))),
    Promise.all(ctrNamespaces.map((namespace) => drive(daemon, namespace, archive, until))),
    collecting,
  ]);
  const all = kept.flat();
  for (const each of all) await look(client, each);

  // Every lease that was left has run out by now, or does so before the next collection that is asked for.
  const remains = async () => {
    await Array.fromAsync(collect({}));
    return client.remains();
  };
  let { leases, blobs, snapshots, images: named } = await remains();
  while (leases.length > 0) ({ leases, blobs, snapshots, images: named } = await remains());
  assert.deepEqual(named, all.map(({ image }) => image).sort());
  assert.deepEqual(blobs, [...new Set(all.flatMap(({ texts }) => texts.map(digestOf)))].sort());
  assert.deepEqual(snapshots, all.flatMap(({ image, snapshot }) => [`${image}-layer`, snapshot]).sort());
  for (const namespace of ctrNamespaces) {
    const other = new Client(daemon.address, namespace);
    assert.deepEqual(await other.remains(), { blobs: [], images: [], ingests: [], leases: [], snapshots: [] });
    other.close();
  }

  const checked = await new Promise<{ status: unknown; stdout: string }>((resolve) => {
    const env = { PATH: process.env.PATH!, CONTAINERD_ADDRESS: daemon.address };
    execFile(program, ["fsck"], { env, timeout: 60_000 }, (error, stdout) =>
      resolve({ status: error === null ? 0 : error.code, stdout }),
    );
  });
  assert.equal(checked.status, 0, checked.stdout);
  t.diagnostic(
    `${collections} collections asked for beside ${all.length} images kept and ${rounds.join(" and ")} rounds of ctr`,
  );
});
