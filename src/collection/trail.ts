/** Where something on the machine comes from: the facts of the log that are about it. Owns finding them; one pass over the log serves many. */
import type { Fact, Log } from "../events/mod.ts";

/** What the facts about a thing are known by. */
export type Trail =
  | { readonly kind: "stream"; readonly namespace: string; readonly stream: string }
  /** A snapshot's directory: facts name its id when it is made, and from then on they are those of its stream. */
  | { readonly kind: "directory"; readonly snapshotter: string; readonly id: string }
  /** Content in any namespace. */
  | { readonly kind: "blob"; readonly digest: string }
  | { readonly kind: "none" };

/** Facts that are given for one thing: the newest. */
const factsMax = 16;

/** The facts about each trail, oldest first. Reads the whole log. */
export async function factsOf(
  log: Pick<Log, "read" | "oldest">,
  trails: readonly Trail[],
): Promise<ReadonlyMap<Trail, readonly Fact[]>> {
  const found = new Map<Trail, Fact[]>(trails.map((trail) => [trail, []]));
  const note = (trail: Trail, fact: Fact) => {
    const facts = found.get(trail)!;
    facts.push(fact);
    if (facts.length > factsMax) facts.shift();
  };
  const streams = new Map<string, Trail[]>();
  const blobs = new Map<string, Trail[]>();
  const directories = new Map<string, Trail[]>();
  for (const trail of trails) {
    if (trail.kind === "stream") push(streams, `${trail.namespace}\0${trail.stream}`, trail);
    else if (trail.kind === "blob") push(blobs, trail.digest, trail);
    else if (trail.kind === "directory") push(directories, `${trail.snapshotter}/${trail.id}`, trail);
  }
  if (streams.size + blobs.size + directories.size === 0) return found;

  /** Which directory a snapshot's stream is about at this place in the log. */
  const current = new Map<string, readonly Trail[]>();
  for await (const batch of log.read({ from: log.oldest })) {
    for (const fact of batch) {
      const name = `${fact.namespace}\0${fact.stream}`;
      for (const trail of streams.get(name) ?? []) note(trail, fact);
      if (fact.stream.startsWith("blob/"))
        for (const trail of blobs.get(fact.stream.slice("blob/".length)) ?? []) note(trail, fact);
      if (!fact.stream.startsWith("snapshot/")) continue;
      const { id } = fact.data as { readonly id?: unknown };
      if (typeof id === "string") {
        const snapshotter = fact.stream.slice("snapshot/".length).split("/", 1)[0]!;
        current.set(name, directories.get(`${snapshotter}/${id}`) ?? []);
      }
      for (const trail of current.get(name) ?? []) note(trail, fact);
    }
  }
  return found;
}

function push<T>(map: Map<string, T[]>, key: string, value: T): void {
  const values = map.get(key);
  if (values === undefined) map.set(key, [value]);
  else values.push(value);
}
