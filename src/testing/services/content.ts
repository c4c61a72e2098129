/** Content and uploads. A call of Write is one stream of one message. Sources: services/content/contentserver, metadata/content.go. */
import { createHash } from "node:crypto";
import fc from "fast-check";
import type { Labels } from "../../events/catalogue.ts";
import { content } from "../../wire/mod.ts";
import { command } from "../command.ts";
import { nameOf, pieceBytes } from "../content-names.ts";
import { contentResource, holds, ingestResource, lacksLease, lets } from "../holding.ts";
import { labels, maskOf, only, updated } from "../labels.ts";
import { digest, id as ref, lease, offset, text } from "../names.ts";
import { blobSeen, ingestSeen } from "../picture.ts";
import { answers, inTurn, moves, type Prediction, refuses } from "../prediction.ts";
import type { Caller } from "../remote/caller.ts";
import type { World } from "../world.ts";
import { open, textOf, type Written, written } from "./uploads.ts";

const definition = content.ContentDefinition;
const { COMMIT, WRITE } = content.WriteAction;

/** Bytes that a writer may announce, none of which a text has. */
const total = fc.constantFrom(0, 0, 0, 1000, 2000);
/** Never that of nothing, which is the only content that other namespaces may have too. */
const expected = fc.constantFrom("", "@a", "@b", "@ab");

async function write(caller: Caller, message: Partial<content.WriteContentRequest>, lease: string): Promise<unknown> {
  const [reply] = await caller.ask(definition, "write", [message], lease);
  return { letters: Number(reply!.offset) / pieceBytes, digest: reply!.digest };
}

/** The blob that a commit makes, unless the namespace has it. */
function committed(
  world: World,
  { letters: text, told }: Written,
  { ref, lease, labels }: { readonly ref: string; readonly lease: string; readonly labels: Labels },
): Prediction {
  const digest = nameOf(text);
  const ends = [...holds(lease, contentResource(digest)), ...lets(world, lease, ingestResource(ref))];
  if (world.row("blob", digest) !== undefined) {
    const aborted = moves(world, [
      { kind: "ingest", key: ref, command: { type: "AbortIngest", ref, reason: "it exists" } },
      ...ends,
    ]);
    return { ...aborted, answer: { code: "AlreadyExists" } };
  }
  const size = text.length * pieceBytes;
  return moves(
    world,
    [
      { kind: "ingest", key: ref, command: { type: "CommitIngest", ref, digest, size } },
      { kind: "blob", key: digest, command: { type: "CommitBlob", digest, size, labels } },
      ...ends,
    ],
    { letters: told, digest },
  );
}

export const contentCommands = [
  command("content write [--lease LEASE] [--offset OFFSET] [--total TOTAL] REF TEXT", {
    weight: 3,
    atomic: false,
    changes: ["ingests", "leases", "namespace"],
    with: { ref, text, offset, total, lease },
    predict(world, { ref, text, offset, total, lease }) {
      if (lacksLease(world, lease)) return refuses(world, "NotFound");
      const opened = open(world, { ref, lease, total, expected: "" });
      const after = written(opened, ref, offset, text);
      if (after === undefined) return { ...opened.prediction, answer: { code: "OutOfRange" } };
      const { letters, told, world: then } = after;
      const value = { letters: told, digest: nameOf(letters) };
      return { ...opened.prediction, world: then, answer: { code: "OK", value } };
    },
    call: (caller, { ref, text, offset, total, lease }) =>
      write(
        caller,
        {
          ...{ action: WRITE, ref, total: BigInt(total) },
          ...{ offset: BigInt(offset * pieceBytes), data: caller.names.bytesOf(text) },
        },
        lease,
      ),
  }),

  command("content ingest [--lease LEASE] [--offset OFFSET] [--expected EXPECTED] REF [TEXT] [LABELS]", {
    weight: 4,
    changes: ["ingests", "blobs", "leases", "namespace"],
    with: { ref, text: fc.oneof(text, fc.constant("")), offset, expected, lease, labels },
    predict(world, { ref, text, offset, expected, lease, labels }) {
      if (lacksLease(world, lease)) return refuses(world, "NotFound");
      if (expected !== "" && world.row("blob", expected) !== undefined) {
        return { ...moves(world, holds(lease, contentResource(expected))), answer: { code: "AlreadyExists" } };
      }
      const opened = open(world, { ref, lease, total: 0, expected });
      const after = written(opened, ref, offset, text);
      if (after === undefined) return { ...opened.prediction, answer: { code: "OutOfRange" } };
      if (expected !== "" && expected !== nameOf(after.letters)) {
        return { ...opened.prediction, world: after.world, answer: { code: "FailedPrecondition" } };
      }
      return inTurn({ ...opened.prediction, world: after.world }, (then) => {
        const done = committed(then, after, { ref, lease, labels });
        // Where nothing was written, the file that an earlier writer left is nobody's.
        const { letters, total } = then.upload(ref)!;
        const left =
          after.shared && letters !== undefined ? { letters, total, expected: "", unleased: false } : undefined;
        return { ...done, world: done.world.withUpload(ref, left) };
      });
    },
    unfinished(world, { ref, text, offset, expected, lease }) {
      if (lacksLease(world, lease)) return [];
      const opened = open(world, { ref, lease, total: 0, expected });
      const begun = opened.prediction.world;
      const emptied = begun.withUpload(ref, { ...begun.upload(ref)!, letters: "" });
      return [begun, emptied, written(opened, ref, offset, text)?.world ?? begun];
    },
    call: (caller, { ref, text, offset, expected, lease, labels }) =>
      write(
        caller,
        {
          ...{ action: COMMIT, ref, expected, labels: { ...labels } },
          ...{ offset: BigInt(offset * pieceBytes), data: caller.names.bytesOf(text) },
        },
        lease,
      ),
  }),

  command("content abort REF", {
    atomic: false,
    changes: ["ingests"],
    with: { ref },
    predict(world, { ref }) {
      const aborted = moves(world, [
        { kind: "ingest", key: ref, command: { type: "AbortIngest", ref, reason: "aborted" } },
      ]);
      if (aborted.answer.code !== "OK") return aborted;
      const upload = world.upload(ref)!;
      // What shares its bytes leaves the file alone.
      const stays = world.dialect.deletedContentLingers && upload.expected !== "" && upload.letters !== undefined;
      return { ...aborted, world: aborted.world.withUpload(ref, stays ? { ...upload, expected: "" } : undefined) };
    },
    call: async (caller, { ref }) => void (await caller.ask(definition, "abort", { ref })),
  }),

  command("content status REF", {
    // It shows an upload that is under way beside it.
    atomic: false,
    with: { ref },
    predict(world, { ref }) {
      const upload = world.row("ingest", ref) && world.upload(ref);
      if (upload?.letters === undefined) return refuses(world, "NotFound");
      return answers(world, ingestSeen(ref, upload.letters.length, upload.total));
    },
    async call(caller, { ref }) {
      const { status } = await caller.ask(definition, "status", { ref });
      return ingestSeen(status!.ref, Number(status!.offset) / pieceBytes, status!.total);
    },
  }),

  command("content read [--offset OFFSET] DIGEST", {
    with: { digest, offset },
    predict(world, { digest, offset }) {
      if (world.row("blob", digest) === undefined) return refuses(world, "NotFound");
      const text = textOf(digest);
      return offset > text.length ? refuses(world, "OutOfRange") : answers(world, nameOf(text.slice(offset)));
    },
    async call(caller, { digest, offset }) {
      const messages = await caller.ask(definition, "read", { digest, offset: BigInt(offset * pieceBytes) });
      const hash = createHash("sha256");
      for (const { data } of messages) hash.update(data);
      return caller.names.name(`sha256:${hash.digest("hex")}`);
    },
  }),

  command("content info DIGEST", {
    with: { digest },
    predict(world, { digest }) {
      const row = world.row("blob", digest);
      return row === undefined ? refuses(world, "NotFound") : answers(world, blobSeen(digest, row));
    },
    async call(caller, { digest }) {
      const { info } = await caller.ask(definition, "info", { digest });
      return blobSeen(info!.digest, info!);
    },
  }),

  command("content label [--only ONLY] DIGEST [LABELS]", {
    changes: ["blobs"],
    with: { only, digest, labels },
    predict(world, { only, digest, labels: requested }) {
      const row = world.row("blob", digest);
      if (row === undefined) return refuses(world, "NotFound");
      const labels = updated(row.labels, requested, only);
      const command = { type: "UpdateBlob", digest, labels } as const;
      return moves(world, [{ kind: "blob", key: digest, command }], blobSeen(digest, { ...row, labels }));
    },
    async call(caller, { only, digest, labels }) {
      const asked = { info: { digest, labels: { ...labels } }, updateMask: maskOf(only) };
      const { info } = await caller.ask(definition, "update", asked);
      return blobSeen(info!.digest, info!);
    },
  }),

  command("content delete [--lease LEASE] DIGEST", {
    changes: ["blobs", "leases"],
    with: { lease, digest },
    predict(world, { lease, digest }) {
      const deleted = moves(world, [
        { kind: "blob", key: digest, command: { type: "DeleteBlob", digest } },
        ...lets(world, lease, contentResource(digest)),
      ]);
      const lingers = deleted.answer.code === "OK" && world.dialect.deletedContentLingers;
      return lingers ? { ...deleted, world: deleted.world.withLingering(digest) } : deleted;
    },
    call: async (caller, { lease, digest }) => void (await caller.ask(definition, "delete", { digest }, lease)),
  }),
];
