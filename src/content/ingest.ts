/**
 * An open upload: its row in the ledger and its bytes in the store, kept together. Owns the order of the two:
 *
 * - Begin: the files are made, then the start is recorded. A crash between leaves files that no table knows; the start-up sweep takes them.
 * - Commit: the bytes get their place among the blobs, durably, then one append ends the ingest and links the blob, then the ingest's files
 *   go. A crash before the append leaves the ingest as it was; a crash after it leaves files for the sweep.
 * - Abort: recorded first, then the files go. The other way round a crash would leave a row whose bytes are gone, and its client would be
 *   told that an upload is under way which nobody can go on with.
 *
 * Progress is recorded nowhere: the length of the file is the progress.
 */
import { ErrorClass, ShiplogError } from "../error.ts";
import type { Labels } from "../events/catalogue.ts";
import type { Outcome, View } from "../ledger.ts";
import { errorCode } from "../platform/mod.ts";
import { canonicalAlgorithm, parseDigest } from "./digest.ts";
import {
  abortIngest,
  begin,
  type Content,
  type ContentDependencies,
  commitSteps,
  contentExists,
  contentResource,
  type IngestRequest,
  ingestResource,
  refNotFound,
  refuseLinked,
  removeFiles,
} from "./ingest-record.ts";
import { removeUnlinkedBlob } from "./unlinked.ts";
import { type IngestWriter, lastChange } from "./writer.ts";

/** Came to containerd after 1.6, which has no way around `isolated`. */
const shareableLabel = "containerd.io/namespace.shareable";

export interface CommitRequest {
  /** 0 accepts any size. */
  readonly total: number;
  /** Empty accepts any digest. */
  readonly expected: string;
  readonly labels: Labels;
}

/** Bytes that are already here, for another namespace: committing them needs none from the client. */
interface Shared {
  readonly digest: string;
  readonly size: number;
}

export class Ingest {
  readonly #dependencies: ContentDependencies;
  readonly #request: IngestRequest;
  readonly #writer: IngestWriter;
  readonly #releaseRef: () => void;
  /** Pinned in the store for as long as it is set. */
  #shared: Shared | undefined;
  #closed = false;

  /** As of when the ingest was opened, durable. */
  readonly next: number;
  /** Unix nanoseconds. */
  readonly startedAt: bigint;

  private constructor(
    dependencies: ContentDependencies,
    request: IngestRequest,
    opened: {
      writer: IngestWriter;
      releaseRef: () => void;
      shared: Shared | undefined;
      next: number;
      startedAt: bigint;
    },
  ) {
    this.#dependencies = dependencies;
    this.#request = request;
    this.#writer = opened.writer;
    this.#releaseRef = opened.releaseRef;
    this.#shared = opened.shared;
    this.next = opened.next;
    this.startedAt = opened.startedAt;
  }

  /**
   * Begins an ingest, or goes on with one where its bytes end. It is closed by whoever opened it.
   * @throws ShiplogError InvalidArgument for a digest that is none; AlreadyExists when the namespace has the expected content, which the
   * caller's lease then holds; Unavailable while somebody else writes the ref; NotFound for an unknown lease
   */
  static async open(dependencies: ContentDependencies, request: IngestRequest): Promise<Ingest> {
    const { store } = dependencies;
    const { origin, ref, expected } = request;
    const algorithm = expected === "" ? canonicalAlgorithm : parseDigest(expected).algorithm;
    await refuseLinked(dependencies, request);
    const releaseRef = await store.lockRef(origin.namespace, ref, request.signal);
    let shared: Shared | undefined;
    let writer: IngestWriter | undefined;
    try {
      shared = await pinShared(dependencies, request);
      return await store.withIngest(origin.namespace, ref, async () => {
        // An unknown lease refuses the write before anything of the upload is touched.
        request.holding.hold(dependencies.ledger.view, ingestResource(ref));
        writer = await store.openWriter(
          origin.namespace,
          ref,
          algorithm,
          startsOver(dependencies.ledger.view, request),
        );
        const opened = await begin(dependencies, request);
        store.setShared(origin.namespace, ref, shared !== undefined);
        return new Ingest(dependencies, request, { writer, releaseRef, shared, ...opened });
      });
    } catch (error) {
      try {
        await writer?.close();
      } finally {
        releaseRef();
      }
      if (shared !== undefined) await letGo(dependencies, shared);
      throw error;
    }
  }

  get offset(): number {
    return this.#shared?.size ?? this.#writer.offset;
  }

  /** Unix nanoseconds. */
  get updatedAt(): bigint {
    return lastChange(this.startedAt, this.#writer.updatedAt);
  }

  /** Digest of the bytes so far. */
  get digest(): string {
    return this.#shared?.digest ?? this.#writer.digest;
  }

  async append(data: Uint8Array): Promise<void> {
    if (data.length === 0) return;
    if (this.#shared !== undefined) await this.#copyShared(this.#shared);
    await this.#writer.append(data);
  }

  /** Starts from zero. */
  async truncate(): Promise<void> {
    this.#ownBytes();
    await this.#unshare();
    await this.#writer.truncate();
  }

  /**
   * Links the content in the namespace and ends the ingest. On a failure other than AlreadyExists the ingest stays as it is.
   * @throws ShiplogError FailedPrecondition for another size or digest than announced; AlreadyExists when the namespace has the content,
   * which ends the ingest too; NotFound when the ingest was aborted meanwhile
   */
  async commit(request: CommitRequest): Promise<Outcome> {
    const { ledger, store } = this.#dependencies;
    const { origin, ref } = this.#request;
    const digest = await this.#checked(request);
    const content: Content = { digest, size: this.offset, labels: request.labels };
    let outcome: Outcome;
    try {
      outcome = await store.withDigest(digest, async () => {
        if (this.#shared === undefined) await this.#place(digest);
        return ledger.transact(origin, (view) => commitSteps(view, this.#request, content));
      });
    } catch (error) {
      await removeUnlinkedBlob(this.#dependencies, digest);
      throw error;
    }
    await removeFiles(this.#dependencies, origin.namespace, ref);
    if (outcome.facts.some((fact) => fact.type === "BlobCommitted")) return outcome;
    throw contentExists(digest);
  }

  /** Ends the ingest because the namespace has the content that it was for; the caller's lease then holds that. */
  async abandon(digest: string): Promise<void> {
    const { origin, ref, holding } = this.#request;
    await abortIngest(this.#dependencies, origin, ref, `content ${digest} already exists`, (view) => [
      ...holding.hold(view, contentResource(digest)),
      ...holding.release(view, ingestResource(ref)),
    ]);
  }

  /** Lets go of the ref; the bytes stay for whoever resumes. May be called again. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      await this.#writer.close();
    } finally {
      this.#releaseRef();
      await this.#unshare();
    }
  }

  /** The digest that a commit may use, after the client's announcements have been checked against the bytes. */
  async #checked({ total, expected }: CommitRequest): Promise<string> {
    const { ref } = this.#request;
    if (total !== 0 && total !== this.offset) {
      throw failedPrecondition(
        "SizeMismatch",
        `${JSON.stringify(ref)} failed size validation: ${this.offset} != ${total}`,
      );
    }
    if (expected === "") return this.digest;
    const { algorithm } = parseDigest(expected);
    const digest = this.#shared?.digest ?? (await this.#writer.digestBy(algorithm));
    if (digest === expected) return digest;
    throw failedPrecondition("DigestMismatch", `unexpected commit digest ${digest}, expected ${expected}`);
  }

  async #place(digest: string): Promise<void> {
    try {
      await this.#dependencies.store.place(this.#writer, digest);
    } catch (error) {
      // An abort has removed the files under this writer.
      if (errorCode(error) === "ENOENT") throw refNotFound(this.#request.ref, error);
      throw error;
    }
  }

  /** More bytes after shared ones make other content, so the shared ones become this ingest's own. */
  async #copyShared({ digest, size }: Shared): Promise<void> {
    this.#ownBytes();
    await this.#writer.truncate();
    for await (const piece of this.#dependencies.store.read(digest, 0, size)) await this.#writer.append(piece);
    await this.#unshare();
  }

  #ownBytes(): void {
    this.#dependencies.store.setShared(this.#request.origin.namespace, this.#request.ref, false);
  }

  async #unshare(): Promise<void> {
    const shared = this.#shared;
    this.#shared = undefined;
    if (shared !== undefined) await letGo(this.#dependencies, shared);
  }
}

/** Whether the bytes on disk are none of this upload's: left behind by one that ended, or begun under another size. */
function startsOver(view: View, { origin, ref, total }: IngestRequest): boolean {
  const row = view.ingests.get(origin.namespace, ref);
  return row === undefined || (total > 0 && row.total > 0 && row.total !== total);
}

async function pinShared(
  dependencies: ContentDependencies,
  { expected, total }: IngestRequest,
): Promise<Shared | undefined> {
  if (expected === "" || !mayTake(dependencies, expected)) return undefined;
  const size = await dependencies.store.pin(expected);
  if (size === undefined) return undefined;
  const shared = { digest: expected, size };
  if (total === 0 || total === size) return shared;
  await letGo(dependencies, shared);
  return undefined;
}

function mayTake({ ledger: { view }, sharing }: ContentDependencies, digest: string): boolean {
  if (sharing !== "isolated") return true;
  for (const { namespace, row } of view.namespaces.all()) {
    if (row.labels[shareableLabel] === "true" && view.blobs.get(namespace, digest) !== undefined) return true;
  }
  return false;
}

/** A removal that met the pin was left to whoever takes the pin away. */
async function letGo(dependencies: ContentDependencies, { digest }: Shared): Promise<void> {
  dependencies.store.unpin(digest);
  await removeUnlinkedBlob(dependencies, digest);
}

const failedPrecondition = (reason: string, message: string) =>
  new ShiplogError(ErrorClass.FailedPrecondition, message, { reason });
