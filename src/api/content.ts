/**
 * containerd.services.content.v1.Content: a namespace's links to content, the bytes behind them, and uploads. Owns the edge's side only:
 * digests and masks in, containerd's classes and words out (services/content/contentserver and metadata/content.go, v1.6.20).
 */
import {
  abortIngest,
  type ContentDependencies,
  contentResource,
  ingestResource,
  lastChange,
  readDigest,
  refNotFound,
  removeUnlinkedBlob,
} from "../content/mod.ts";
import { ErrorClass, ShiplogError } from "../error.ts";
import { type BlobState, type IngestState, quoted } from "../machines/mod.ts";
import { errorCode } from "../platform/mod.ts";
import { type content as wire, timestampFromUnixNano } from "../wire/mod.ts";
import { batches } from "./batches.ts";
import { writeContent } from "./content-write.ts";
import { type Adaptor, labelField, parseFilter } from "./filter/mod.ts";
import { holding } from "./holding.ts";
import { validateLabels } from "./labels.ts";
import { maskedLabels, maskPaths } from "./mask.ts";
import type { Service } from "./service.ts";

/** As containerd's server does. */
const infosPerMessageMax = 100;

const updatable = { fields: ["labels"], maps: ["labels"] };

export function contentService(dependencies: ContentDependencies): Service<typeof wire.ContentDefinition> {
  const { ledger, store } = dependencies;

  async function ingestStatus(namespace: string, ref: string, row: IngestState): Promise<wire.Status | undefined> {
    const progress = await store.progress(namespace, ref);
    return (
      progress && {
        startedAt: timestampFromUnixNano(row.startedAt),
        updatedAt: timestampFromUnixNano(lastChange(row.startedAt, progress.updatedAt)),
        ref,
        offset: BigInt(progress.offset),
        total: BigInt(row.total),
        expected: row.expected,
      }
    );
  }

  return {
    async info({ digest }, call) {
      validDigest(digest, () => `${quoted(digest)} failed validation`);
      const namespace = call.namespace();
      const { next, value: row } = await ledger.read((view) => view.blobs.get(namespace, digest));
      call.position = next;
      return { info: infoMessage(digest, linked(row, digest)) };
    },

    async update({ info, updateMask }, call) {
      const { digest, labels } = info ?? { digest: "", labels: {} };
      validDigest(digest, () => `${quoted(digest)} failed validation`);
      const namespace = call.namespace();
      let row: BlobState | undefined;
      const { next, facts } = await ledger.transact(call.origin(), (view) => {
        row = linked(view.blobs.get(namespace, digest), digest);
        const paths = maskPaths(updateMask, updatable, `content info ${quoted(digest)}`);
        const updated = maskedLabels(paths, "labels", row.labels, labels) ?? row.labels;
        validateLabels(updated, "info.Labels");
        return [{ kind: "blob", key: digest, command: { type: "UpdateBlob", digest, labels: updated } }];
      });
      call.position = next;
      for (const fact of facts)
        if (fact.type === "BlobUpdated") row = { ...row!, labels: fact.data.labels, updatedAt: fact.time };
      return { info: infoMessage(digest, row!) };
    },

    async *list({ filters }, call) {
      const namespace = call.namespace();
      const wanted = parseFilter(filters);
      const { next, value: rows } = await ledger.read((view) => view.blobs.list(namespace));
      call.position = next;
      const infos = rows
        .filter(({ key, row }) => wanted(blobAdaptor(key, row)))
        .map(({ key, row }) => infoMessage(key, row));
      for (const info of batches(infos, infosPerMessageMax)) yield { info };
    },

    async delete({ digest }, call) {
      validDigest(digest, (complaint) => complaint);
      const { release } = holding(call);
      const { next } = await ledger.transact(call.origin(), (view) => [
        { kind: "blob", key: digest, command: { type: "DeleteBlob", digest } },
        ...release(view, contentResource(digest)),
      ]);
      await removeUnlinkedBlob(dependencies, digest);
      call.position = next;
      return {};
    },

    async *read({ digest, offset, size }, call) {
      validDigest(digest, (complaint) => `${digest}: ${complaint}`);
      const namespace = call.namespace();
      const { next, value } = await ledger.read((view) => view.blobs.get(namespace, digest));
      call.position = next;
      const row = linked(value, digest);
      const start = Math.max(Number(offset), 0);
      if (start > row.size) {
        throw new ShiplogError(ErrorClass.OutOfRange, `read past object length ${row.size} bytes`, {
          reason: "ReadPastEnd",
        });
      }
      const rest = row.size - start;
      const length = size <= 0n || size > BigInt(rest) ? rest : Number(size);
      let sent = 0n;
      try {
        for await (const data of store.read(digest, start, length)) {
          yield { offset: sent, data };
          sent += BigInt(data.length);
        }
      } catch (error) {
        // Deleted between the look at the table and the opening of the file.
        if (errorCode(error) === "ENOENT") throw notFound(digest, error);
        throw error;
      }
    },

    async status({ ref }, call) {
      const namespace = call.namespace();
      const { next, value: row } = await ledger.read((view) => view.ingests.get(namespace, ref));
      call.position = next;
      const status = row && (await ingestStatus(namespace, ref, row));
      if (status === undefined) {
        const { message } = refNotFound(ref);
        throw new ShiplogError(ErrorClass.NotFound, `could not get status for ref ${quoted(ref)}: ${message}`, {
          reason: "IngestAbsent",
        });
      }
      return { status };
    },

    async listStatuses({ filters }, call) {
      const namespace = call.namespace();
      const wanted = parseFilter(filters);
      const { next, value: rows } = await ledger.read((view) => view.ingests.list(namespace));
      call.position = next;
      const statuses: wire.Status[] = [];
      for (const { key, row } of rows) {
        if (!wanted((path) => (path[0] === "ref" ? key : undefined))) continue;
        const status = await ingestStatus(namespace, key, row);
        if (status !== undefined) statuses.push(status);
      }
      return { statuses };
    },

    write: (requests, call) => writeContent(dependencies, requests, call),

    async abort({ ref }, call) {
      const { release } = holding(call);
      const { next } = await abortIngest(dependencies, call.origin(), ref, "aborted by a client", (view) =>
        release(view, ingestResource(ref)),
      );
      call.position = next;
      return {};
    },
  };
}

/** Each of the calls has words of its own for it. @throws ShiplogError InvalidArgument */
function validDigest(digest: string, worded: (complaint: string) => string): void {
  const complaint = readDigest(digest);
  if (typeof complaint !== "string") return;
  throw new ShiplogError(ErrorClass.InvalidArgument, worded(complaint), { reason: "DigestInvalid", whole: true });
}

/** @throws ShiplogError NotFound when the namespace has no link, though others may have one */
function linked(row: BlobState | undefined, digest: string): BlobState {
  if (row === undefined) throw notFound(digest);
  return row;
}

const notFound = (digest: string, cause?: unknown) =>
  new ShiplogError(ErrorClass.NotFound, `content digest ${digest}`, {
    reason: "BlobAbsent",
    ...(cause === undefined ? {} : { cause }),
  });

const blobAdaptor =
  (digest: string, { labels }: BlobState): Adaptor =>
  ([field, ...rest]) => {
    if (field === "digest") return digest;
    return field === "labels" ? labelField(labels, rest) : undefined;
  };

function infoMessage(digest: string, { size, labels, createdAt, updatedAt }: BlobState): wire.Info {
  return {
    digest,
    size: BigInt(size),
    createdAt: timestampFromUnixNano(createdAt),
    updatedAt: timestampFromUnixNano(updatedAt),
    labels: { ...labels },
  };
}
