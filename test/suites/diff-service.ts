/**
 * What a client of containerd.services.diff.v1 may rely on when it applies layers. Each daemon that serves it passes; run against containerd
 * itself, this file says whether it is right about containerd.
 */
import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { lstat, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { content, type diff as wire, type Mount, type snapshots } from "../../src/wire/mod.ts";
import { codeOf, messageOf, type ServiceClient } from "../harness/grpc-client.ts";
import { archive } from "../snapshots/tar-builder.ts";
import { contentDirectory } from "./snapshots-service.ts";

export interface DiffSubject {
  readonly content: ServiceClient<typeof content.ContentDefinition>;
  readonly snapshots: ServiceClient<typeof snapshots.SnapshotsDefinition>;
  readonly diff: ServiceClient<typeof wire.DiffDefinition>;
}

const layer = "application/vnd.oci.image.layer.v1.tar";
const sha256 = (bytes: Uint8Array) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

/** @param subject the daemon under test, started when it is first asked for */
export function diffServiceSuite(name: string, snapshotter: string, subject: () => DiffSubject): void {
  interface Place {
    readonly namespace: string;
    put(bytes: Buffer): Promise<string>;
    apply(digest: string, mediaType: string, syncFs?: boolean): Promise<wire.ApplyResponse>;
    /** Of the active snapshot that is applied to. */
    readonly directory: string;
    readonly mounts: Mount[];
    commit(layerName: string): Promise<void>;
  }

  async function place(namespace: string, parent = ""): Promise<Place> {
    const { content: blobs, snapshots: layers, diff } = subject();
    const { mounts } = await layers.prepare({ snapshotter, key: "extract", parent }, { namespace });
    return {
      namespace,
      mounts,
      directory: contentDirectory(mounts),
      put: async (bytes) =>
        (
          await blobs
            .write({ namespace })
            .exchange({ action: content.WriteAction.COMMIT, ref: sha256(bytes), data: bytes })
        ).digest,
      apply: (digest, mediaType, syncFs = false) =>
        diff.apply({ diff: { digest, mediaType }, mounts, syncFs }, { namespace }),
      commit: async (layerName) =>
        void (await layers.commit({ snapshotter, key: "extract", name: layerName }, { namespace })),
    };
  }

  const check = (title: string, body: (at: Place) => Promise<void>) =>
    test(`${name}, ${snapshotter}: ${title}`, async () => body(await place(`ns-${randomUUID()}`)));

  for (const [suffix, compress] of [
    ["", (bytes: Buffer) => bytes],
    ["+gzip", gzipSync],
    ["+zstd", zstdCompressSync],
  ] as const) {
    check(
      `a layer of ${layer}${suffix} is applied, and its uncompressed archive told`,
      async ({ put, apply, directory }) => {
        const tar = archive({ name: "etc/", flag: "5", mode: 0o750 }, { name: "etc/motd", content: randomUUID() });
        const digest = await put(compress(tar));
        const { applied } = await apply(digest, `${layer}${suffix}`, true);
        assert.deepEqual(
          [applied?.mediaType, applied?.digest, applied?.size],
          [layer, sha256(tar), BigInt(tar.length)],
        );
        assert.equal((await readFile(join(directory, "etc/motd"))).length, 36);
        assert.equal((await lstat(join(directory, "etc"))).mode & 0o777, 0o750);
      },
    );
  }

  check("a layer goes onto its parents", async ({ namespace, put, apply, commit }) => {
    await apply(await put(archive({ name: "kept", content: randomUUID() }, { name: "removed", content: "" })), layer);
    await commit("lower");
    const upper = await place(namespace, "lower");
    await upper.apply(
      await upper.put(archive({ name: ".wh.removed" }, { name: "added", content: randomUUID() })),
      layer,
    );
    assert.equal((await readFile(join(upper.directory, "added"))).length, 36);
    const removed = lstat(join(upper.directory, "removed"));
    if (upper.mounts[0]?.type === "overlay") assert.ok((await removed).isCharacterDevice());
    else await assert.rejects(removed, { code: "ENOENT" });
  });

  check("content that the namespace does not have is NotFound", async ({ namespace, put, apply, directory }) => {
    const missing = sha256(Buffer.from(randomUUID()));
    assert.equal(
      await messageOf(apply(missing, layer)),
      `failed to get reader from content store: content digest ${missing}: not found`,
    );
    assert.equal(await codeOf(apply("nonsense", layer)), "NOT_FOUND");
    const digest = await put(archive({ name: "a", content: randomUUID() }));
    const { diff } = subject();
    const elsewhere = diff.apply(
      { diff: { digest, mediaType: layer }, mounts: [] },
      { namespace: `${namespace}-other` },
    );
    assert.equal(await codeOf(elsewhere), "NOT_FOUND");
    await assert.rejects(lstat(join(directory, "a")), { code: "ENOENT" });
  });

  check("a layer that is none is an error", async ({ put, apply }) => {
    assert.equal(await codeOf(apply(await put(Buffer.alloc(2048, randomUUID())), layer)), "UNKNOWN");
  });

  check("a media type that nobody can read is an error", async ({ put, apply }) => {
    const refused = apply(await put(archive({ name: "a", content: randomUUID() })), "application/x-nobody");
    assert.equal(await codeOf(refused), "UNKNOWN");
    assert.equal(
      await messageOf(refused),
      "failed to get stream processor for application/x-nobody: no processor for media-type",
    );
  });

  check("a diff is content of the namespace, under the ref and with the labels that were asked for", async (at) => {
    const { content: blobs, diff } = subject();
    const { namespace, directory, mounts } = at;
    await writeFile(join(directory, "a"), randomUUID());
    const stream = blobs.write({ namespace });
    await stream.exchange({ action: content.WriteAction.WRITE, ref: "given", data: Buffer.from("of before") });
    const locked = diff.diff({ right: mounts, mediaType: layer, ref: "given" }, { namespace });
    assert.equal(await codeOf(locked), "UNAVAILABLE");
    stream.end();
    // containerd says its last reply again.
    while ((await stream.next()) !== undefined);
    const request = { right: mounts, mediaType: layer, ref: "given", labels: { one: "1" } };
    const first = await diff.diff(request, { namespace });
    const { info } = await blobs.info({ digest: first.diff!.digest }, { namespace });
    assert.deepEqual([info!.labels, info!.size], [{ one: "1" }, first.diff!.size]);
    assert.deepEqual((await blobs.listStatuses({}, { namespace })).statuses, []);
    assert.deepEqual(await diff.diff({ ...request, ref: "" }, { namespace }), first);
    assert.deepEqual((await blobs.listStatuses({}, { namespace })).statuses, []);
  });

  check("a diff that cannot be made is refused and leaves no ingest", async ({ namespace, mounts }) => {
    const { content: blobs, diff } = subject();
    const odd = diff.diff({ right: mounts, mediaType: "application/x-odd" }, { namespace });
    assert.equal(await codeOf(odd), "UNIMPLEMENTED");
    assert.equal(await messageOf(odd), "unsupported diff media type: application/x-odd: not implemented");
    const stream = blobs.write({ namespace });
    await stream.exchange({ action: content.WriteAction.WRITE, ref: "given", data: Buffer.from("of before") });
    stream.end();
    while ((await stream.next()) !== undefined);
    const absent = [{ type: "bind", source: "/nonexistent", options: ["rbind", "ro"] }];
    for (const ref of ["", "given", "new"])
      assert.equal(await codeOf(diff.diff({ right: absent, ref }, { namespace })), "UNKNOWN");
    assert.equal(await codeOf(diff.diff({ right: mounts }, {})), "FAILED_PRECONDITION");
    assert.equal(
      await codeOf(diff.diff({ right: mounts, labels: { k: "v".repeat(4096) } }, { namespace })),
      "INVALID_ARGUMENT",
    );
    const { statuses } = await blobs.listStatuses({}, { namespace });
    assert.deepEqual(
      statuses.map(({ ref, offset }) => [ref, offset]),
      [["given", 9n]],
    );
  });
}
