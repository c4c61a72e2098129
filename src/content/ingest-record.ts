/**
 * What the ledger is told of an ingest, and what becomes of its files with it. Owns the steps; when each is due, `ingest.ts` says.
 */
import { ErrorClass, ShiplogError } from "../error.ts";
import type { Labels } from "../events/catalogue.ts";
import type { Ledger, Origin, Outcome, Step, View } from "../ledger.ts";
import type { Holding } from "./holding.ts";
import type { ContentStore } from "./store.ts";

/**
 * Whose bytes a writer may take instead of uploading its own: `shared` those of every namespace, `isolated` only those of namespaces that
 * carry the label `containerd.io/namespace.shareable=true`; everyone else proves possession by uploading (metadata/content.go).
 */
export const sharingPolicies = ["shared", "isolated"] as const;
export type SharingPolicy = (typeof sharingPolicies)[number];

export interface ContentDependencies {
  /** `shared` unless it is told otherwise. */
  readonly sharing?: SharingPolicy;
  readonly ledger: Ledger;
  readonly store: ContentStore;
  /** Told of files that could not be removed though nothing refers to them; the next start's sweep removes them. */
  readonly onLeftover: (error: Error) => void;
}

export interface IngestRequest {
  readonly origin: Origin;
  readonly holding: Holding;
  readonly ref: string;
  /** Announced size in bytes, 0 when unknown. */
  readonly total: number;
  /** Announced digest, empty when unknown. */
  readonly expected: string;
  /** Ends the wait for another writer of the same ref. */
  readonly signal: AbortSignal;
}

/** What a commit links. */
export interface Content {
  readonly digest: string;
  readonly size: number;
  readonly labels: Labels;
}

/** Records the start, with the files made. Where it is refused, and nobody else's row stands behind them, the files go again. */
export async function begin(
  dependencies: ContentDependencies,
  request: IngestRequest,
): Promise<{ next: number; startedAt: bigint }> {
  const { ledger } = dependencies;
  const { origin, ref, total, expected, holding } = request;
  let linked = false;
  try {
    const { next } = await ledger.transact(origin, (view) => {
      linked = isLinked(view, request);
      if (linked) return holding.hold(view, contentResource(expected));
      const held = holding.hold(view, ingestResource(ref));
      const command = { type: "StartIngest", ref, total, expected, leased: held.length > 0 } as const;
      return [{ kind: "ingest", key: ref, command }, ...held];
    });
    if (linked) throw contentExists(expected);
    // Only an abort could have taken the row away, and that waits for this task.
    return { next, startedAt: ledger.view.ingests.get(origin.namespace, ref)!.startedAt };
  } catch (error) {
    if (ledger.view.ingests.get(origin.namespace, ref) === undefined)
      await removeFiles(dependencies, origin.namespace, ref);
    throw error;
  }
}

/** @throws ShiplogError AlreadyExists, with the content held by the caller's lease, when the namespace has what the writer expects */
export async function refuseLinked({ ledger }: ContentDependencies, request: IngestRequest): Promise<void> {
  if (!isLinked(ledger.view, request)) return;
  const { origin, expected, holding } = request;
  await ledger.transact(origin, (view) =>
    isLinked(view, request) ? holding.hold(view, contentResource(expected)) : [],
  );
  throw contentExists(expected);
}

function isLinked(view: View, { origin, expected }: IngestRequest): boolean {
  return expected !== "" && view.blobs.get(origin.namespace, expected) !== undefined;
}

/** What to record at a commit. Where the namespace has the content already, that ends the ingest without making another link. */
export function commitSteps(
  view: View,
  { origin, ref, holding }: IngestRequest,
  { digest, size, labels }: Content,
): readonly Step[] {
  const ended: readonly Step[] =
    view.blobs.get(origin.namespace, digest) === undefined
      ? [
          { kind: "ingest", key: ref, command: { type: "CommitIngest", ref, digest, size } },
          { kind: "blob", key: digest, command: { type: "CommitBlob", digest, size, labels } },
        ]
      : [
          {
            kind: "ingest",
            key: ref,
            command: { type: "AbortIngest", ref, reason: `content ${digest} already exists` },
          },
        ];
  return [...ended, ...holding.hold(view, contentResource(digest)), ...holding.release(view, ingestResource(ref))];
}

/**
 * Records that an ingest has ended, together with `steps`, and removes its files. A writer that still has it open learns of it when it
 * commits.
 * @throws ShiplogError NotFound when there is none
 */
export async function abortIngest(
  dependencies: ContentDependencies,
  origin: Origin,
  ref: string,
  reason: string,
  steps: (view: View) => readonly Step[],
): Promise<Outcome> {
  const { ledger, store } = dependencies;
  // While nobody begins the ref anew: their files would go with these.
  return store.withIngest(origin.namespace, ref, async () => {
    const outcome = await ledger.transact(origin, (view) => [
      { kind: "ingest", key: ref, command: { type: "AbortIngest", ref, reason } },
      ...steps(view),
    ]);
    await removeFiles(dependencies, origin.namespace, ref);
    return outcome;
  });
}

/** Removes the files of an ingest whose end is durable, unless its ref has been begun anew since. */
export async function removeEndedIngest(
  dependencies: ContentDependencies,
  namespace: string,
  ref: string,
): Promise<void> {
  await dependencies.store.withIngest(namespace, ref, async () => {
    if (dependencies.ledger.view.ingests.get(namespace, ref) === undefined)
      await removeFiles(dependencies, namespace, ref);
  });
}

export async function removeFiles(
  { store, onLeftover }: ContentDependencies,
  namespace: string,
  ref: string,
): Promise<void> {
  try {
    await store.removeIngest(namespace, ref);
  } catch (error) {
    onLeftover(new Error(`remove the files of ingest ${ref} in namespace ${namespace}`, { cause: error }));
  }
}

export const contentResource = (digest: string) => ({ type: "content", id: digest });
export const ingestResource = (ref: string) => ({ type: "ingests", id: ref });

export const contentExists = (digest: string) =>
  new ShiplogError(ErrorClass.AlreadyExists, `content ${digest}`, { reason: "ContentExists" });

export const refNotFound = (ref: string, cause?: unknown) =>
  new ShiplogError(ErrorClass.NotFound, `reference ${ref}`, {
    reason: "IngestAbsent",
    ...(cause === undefined ? {} : { cause }),
  });
