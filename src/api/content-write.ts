/**
 * One stream of containerd's Content.Write: the messages of one writer on one ref, and what each does to its ingest. Owns the protocol's
 * states and their order of checks (containerd services/content/contentserver, Write); what an ingest is, content/ knows.
 */
import { type ContentDependencies, Ingest, parseDigest } from "../content/mod.ts";
import { ErrorClass, ShiplogError } from "../error.ts";
import { content as wire, timestampFromUnixNano } from "../wire/mod.ts";
import type { Call } from "./call.ts";
import { holding } from "./holding.ts";
import { storedLabels, validateLabels } from "./labels.ts";

/** The longest key that containerd's database takes (bbolt, MaxKeySize). */
const refBytesMax = 32_768;

/** What the client has announced so far; a later message may change it. */
interface Announced {
  total: number;
  expected: string;
}

/**
 * Answers each message of the stream. The ref is free again, and the bytes stay, when the iteration ends, however it ends; a commit ends
 * it whether or not the client has closed its side.
 */
export async function* writeContent(
  dependencies: ContentDependencies,
  requests: AsyncIterable<wire.WriteContentRequest>,
  call: Call,
): AsyncGenerator<wire.WriteContentResponse, void, void> {
  const announced: Announced = { total: 0, expected: "" };
  let ingest: Ingest | undefined;
  let told: Told = {
    startedAt: timestampFromUnixNano(undefined),
    updatedAt: timestampFromUnixNano(undefined),
    total: 0n,
  };
  try {
    for await (const request of requests) {
      if (request.expected !== "") {
        parseDigest(request.expected);
        announced.expected = request.expected;
      }
      if (request.total > 0n) announced.total = Number(request.total);
      ingest ??= await openIngest(dependencies, request.ref, announced, call);
      if (request.expected !== "") await refuseLinked(dependencies, ingest, request.expected, call);
      const reply = await answer(ingest, request, announced, told);
      told = reply;
      yield reply;
      if (request.action === wire.WriteAction.COMMIT) return;
    }
    if (ingest === undefined) throw noReference();
  } finally {
    await ingest?.close();
  }
}

async function openIngest(
  dependencies: ContentDependencies,
  ref: string,
  { total, expected }: Announced,
  call: Call,
): Promise<Ingest> {
  if (ref === "") throw noReference();
  if (Buffer.byteLength(ref) > refBytesMax) {
    throw new ShiplogError(ErrorClass.InvalidArgument, `reference is longer than ${refBytesMax} bytes`, {
      reason: "RefTooLong",
    });
  }
  const { signal } = call;
  const ingest = await Ingest.open(dependencies, {
    origin: call.origin(),
    holding: holding(call),
    ref,
    total,
    expected,
    signal,
  });
  call.position = ingest.next;
  return ingest;
}

/** Another writer may have committed what this one is at: it need not go on. */
async function refuseLinked(
  { ledger }: ContentDependencies,
  ingest: Ingest,
  expected: string,
  call: Call,
): Promise<void> {
  const { value: linked } = await ledger.read((view) => view.blobs.get(call.namespace(), expected) !== undefined);
  if (!linked) return;
  await ingest.abandon(expected);
  throw new ShiplogError(ErrorClass.AlreadyExists, `blob with expected digest ${expected} exists`, {
    reason: "ContentExists",
    whole: true,
  });
}

/** What a STAT tells is repeated in the replies after it, and is empty in those before the first. */
type Told = Pick<wire.WriteContentResponse, "startedAt" | "updatedAt" | "total">;

async function answer(
  ingest: Ingest,
  request: wire.WriteContentRequest,
  announced: Announced,
  { startedAt, updatedAt, total }: Told,
): Promise<wire.WriteContentResponse> {
  switch (request.action) {
    case wire.WriteAction.STAT:
      return {
        action: request.action,
        startedAt: timestampFromUnixNano(ingest.startedAt),
        updatedAt: timestampFromUnixNano(ingest.updatedAt),
        offset: BigInt(ingest.offset),
        total: BigInt(announced.total),
        digest: ingest.digest,
      };
    case wire.WriteAction.WRITE:
    case wire.WriteAction.COMMIT:
      await takeData(ingest, request);
      if (request.action === wire.WriteAction.COMMIT) await commit(ingest, request, announced);
      return {
        action: request.action,
        startedAt,
        updatedAt,
        offset: BigInt(ingest.offset),
        total,
        digest: ingest.digest,
      };
    default:
      request.action satisfies never;
      throw new ShiplogError(ErrorClass.InvalidArgument, `write action ${String(request.action)} is unknown`);
  }
}

/** An offset of 0 is no mistake to a writer that has bytes: it starts over. */
async function takeData(ingest: Ingest, { offset, data }: wire.WriteContentRequest): Promise<void> {
  if (offset > 0n && offset !== BigInt(ingest.offset)) {
    throw new ShiplogError(ErrorClass.OutOfRange, `write @${offset} must occur at current offset ${ingest.offset}`, {
      reason: "WrongOffset",
    });
  }
  if (offset === 0n && ingest.offset > 0) await ingest.truncate();
  await ingest.append(data);
}

async function commit(
  ingest: Ingest,
  request: wire.WriteContentRequest,
  { total, expected }: Announced,
): Promise<void> {
  validateLabels(request.labels, "info.Labels");
  await ingest.commit({ total, expected, labels: storedLabels(request.labels) });
}

const noReference = () =>
  new ShiplogError(ErrorClass.InvalidArgument, "first message must have a reference", {
    reason: "RefMissing",
    whole: true,
  });
