/**
 * Short pieces of what clients do, that come between the random commands: what is only found in the depth of a life would else be seldom
 * reached. Each is a script, and comes where all of its commands may.
 */
import type { Command, CommandType } from "./command.ts";
import { readScript } from "./script.ts";

const native = "snapshots --snapshotter native";

const scripts: readonly string[] = [
  `${native} prepare k0\n${native} commit k1 k0`,
  `${native} prepare k0\n${native} commit k1 k0\n${native} prepare k0 k1`,
  `leases create --id x\n${native} prepare --lease x k0`,
  `${native} prepare k0\ncontainers create --snapshotter native --snapshot k0 x`,
  "leases create --id x\ncontent ingest --lease x x a",
  "content ingest x b\ncontent ingest x a containerd.io/gc.ref.content.0=@b",
  "content ingest x a\nimages create x @a",
  "leases create --id x\ncontent write --lease x x a",
  "containers create x\nimages create x @a",
];

/** Those whose commands are all of these types. */
export function motifsOf(types: readonly CommandType[]): readonly (readonly Command[])[] {
  return scripts.flatMap((script) => {
    try {
      return [readScript(script, types)];
    } catch (error) {
      if (error instanceof SyntaxError) return [];
      throw error;
    }
  });
}
