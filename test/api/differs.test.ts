/** A differ of another process, as a proxy plugin: asked first, and passed over for what it says it cannot do. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { GrpcServer } from "../../src/api/grpc/mod.ts";
import { connect } from "../../src/cli/client.ts";
import { ShiplogError } from "../../src/error.ts";
import { Files, peerOf, randomIds } from "../../src/platform/mod.ts";
import { content, diff, introspection } from "../../src/wire/mod.ts";
import { codeOf, serviceClient } from "../harness/grpc-client.ts";
import { shiplogdWithoutCollection, type TestDaemon } from "../harness/daemons.ts";

const own = "application/vnd.example.text";
const namespace = "differs";
let daemon: TestDaemon;
let server: GrpcServer;
let work: string;
const seen: string[] = [];

/** Applies one media type, by writing the content into a file; reads it from the daemon, as such a process would. */
async function serve(): Promise<void> {
  server = new GrpcServer({
    ids: randomIds,
    files: new Files(),
    peerOf,
    onFault: ({ error }) => seen.push(String(error)),
  });
  server.add(diff.DiffDefinition, {
    async apply(request, call) {
      seen.push(`${call.namespace()} ${call.lease ?? "no lease"} ${request.diff!.mediaType}`);
      if (request.diff!.mediaType !== own) throw new ShiplogError("Unimplemented", "not mine");
      const connection = connect(daemon.address);
      const service = connection.service(content.ContentDefinition, { namespace: call.namespace() });
      const pieces = (await Array.fromAsync(service.read({ digest: request.diff!.digest }))).map(({ data }) => data);
      connection.close();
      writeFileSync(join(request.mounts[0]!.source, "text"), Buffer.concat(pieces));
      return { applied: { ...request.diff!, mediaType: "applied" } };
    },
    async diff() {
      throw new ShiplogError("FailedPrecondition", "it will not");
    },
  });
  await server.listen(join(work, "differ.sock"));
}

before(async () => {
  work = await mkdtemp(join(tmpdir(), "shiplog-differs-"));
  mkdirSync(join(work, "tree"));
  daemon = await shiplogdWithoutCollection(
    `[proxy_plugins.example]\ntype = "diff"\naddress = "${work}/differ.sock"\n[diff]\norder = ["example", "walking"]\n`,
  );
  await daemon.start();
  await serve();
});
after(async () => {
  await server?.close({ graceMs: 1_000 });
  await daemon?.dispose();
  await rm(work, { recursive: true });
});

async function uploaded(bytes: Buffer): Promise<string> {
  const client = serviceClient(content.ContentDefinition, daemon.address);
  const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  const stream = client.write({ namespace });
  await stream.exchange({
    action: content.WriteAction.COMMIT,
    ref: digest,
    total: BigInt(bytes.length),
    expected: digest,
    data: bytes,
  });
  stream.end();
  client.close();
  return digest;
}

test("a layer goes to the first differ that can apply it, with the caller's headers", async () => {
  const connection = connect(daemon.address);
  try {
    const service = connection.service(diff.DiffDefinition, { namespace });
    const mounts = [{ type: "bind", source: join(work, "tree"), target: "", options: ["rbind", "rw"] }];
    const bytes = Buffer.from("not an archive");
    const text = { mediaType: own, digest: await uploaded(bytes), size: BigInt(bytes.length) };
    const { applied } = await service.apply({ diff: text, mounts });
    assert.equal(applied!.mediaType, "applied");
    assert.equal(readFileSync(join(work, "tree", "text"), "utf8"), "not an archive");

    const empty = Buffer.alloc(1024);
    const layerType = "application/vnd.oci.image.layer.v1.tar";
    const layer = { mediaType: layerType, digest: await uploaded(empty), size: 1024n };
    const { applied: walked } = await service.apply({ diff: layer, mounts });
    assert.equal(walked!.digest, layer.digest, "the daemon's own answer");
    assert.deepEqual(seen, [`${namespace} no lease ${own}`, `${namespace} no lease ${layerType}`]);
    assert.equal(
      await codeOf(service.diff({ left: [], right: mounts })),
      "FAILED_PRECONDITION",
      "a refusal is an answer",
    );

    await server.close({ graceMs: 1_000 });
    assert.equal(await codeOf(service.apply({ diff: layer, mounts })), "UNAVAILABLE");
    await serve();
    await service.apply({ diff: layer, mounts });
    const { plugins } = await connection
      .service(introspection.IntrospectionDefinition)
      .plugins({ filters: ["type==io.containerd.differ.v1"] });
    assert.deepEqual(
      plugins.map(({ id }) => id),
      ["walking", "example"],
    );
  } finally {
    connection.close();
  }
});
