/**
 * Content that the daemon itself makes for a client. Owns its ingest, from a ref that nobody else has to the blob; on a failure nothing of it
 * is left.
 */
import { randomUUID } from "node:crypto";
import { abortIngest, type ContentDependencies, Ingest, ingestResource } from "../content/mod.ts";
import { ErrorClass, ShiplogError } from "../error.ts";
import type { Call } from "./call.ts";
import { holding } from "./holding.ts";

export interface MadeContent {
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
}

/** Makes content of what `fill` appends. What the namespace has already is as good; the caller's lease holds it either way. */
export async function makeContent(
  dependencies: ContentDependencies,
  call: Call,
  fill: (ingest: Ingest) => Promise<unknown>,
): Promise<MadeContent> {
  const ref = randomUUID();
  let ingest: Ingest | undefined;
  try {
    const [origin, held, { signal }] = [call.origin(), holding(call), call];
    ingest = await Ingest.open(dependencies, { origin, holding: held, ref, total: 0, expected: "", signal });
    await fill(ingest);
    const { digest, offset: size } = ingest;
    try {
      await ingest.commit({ total: 0, expected: digest, labels: {} });
    } catch (error) {
      if (!(error instanceof ShiplogError) || error.class !== ErrorClass.AlreadyExists) throw error;
    }
    return { digest, size };
  } catch (error) {
    if (ingest !== undefined) await abandonIngest(dependencies, ref, call);
    throw error;
  } finally {
    await ingest?.close();
  }
}

/** Ends an ingest under a random ref: nobody knows it, so nobody would go on with it. */
export async function abandonIngest(dependencies: ContentDependencies, ref: string, call: Call): Promise<void> {
  const { release } = holding(call);
  try {
    await abortIngest(dependencies, call.origin(), ref, "what it was for has failed", (view) =>
      release(view, ingestResource(ref)),
    );
  } catch (error) {
    if (!(error instanceof ShiplogError) || error.class !== ErrorClass.NotFound)
      dependencies.onLeftover(error as Error);
  }
}
