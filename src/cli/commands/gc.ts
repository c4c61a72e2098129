import type { Garbage } from "../../wire/gen/shiplog/collection/v1/collection.ts";
import { type Command, ExitStatus, UsageError } from "../command.ts";
import { Columns, counted, printable, shortDigest } from "../render/mod.ts";

export const gc: Command = {
  name: "gc",
  summary: "remove what nothing reaches, or say what would be removed and why",
  help: `Usage: shiplog gc [--dry-run]

Removes, in every namespace, what no lease, image, container or label reaches, and says why of each. The daemon does so by itself after
deletions and when something expires; this does it now. Another daemon's collector says nothing; here each collection is a fact too:

  shiplog history collection/NAMESPACE

      --dry-run   only say what would be removed
  -n, --namespace show only what belongs to this namespace
`,
  flags: { "dry-run": { type: "boolean" } },

  async run({ collection, out, json, namespaceFlag }, flags, operands) {
    if (operands.length > 0) throw new UsageError(`gc takes no operand, but got "${operands[0]}"`);
    const dryRun = flags["dry-run"] === true;
    const found: Garbage[] = [];
    for await (const { garbage } of collection.collect({ dryRun })) {
      found.push(...garbage.filter(({ namespace }) => namespaceFlag === undefined || namespace === namespaceFlag));
    }
    if (json) {
      await out.lines(...found.map((entry) => JSON.stringify(entry)));
      return ExitStatus.fine;
    }
    const rows = found.map(({ namespace, kind, key, reason }) =>
      [namespace, kind, shortDigest(key), reason].map(printable),
    );
    const verdict =
      found.length === 0
        ? "nothing is unreachable"
        : `${counted(found.length, "object")} ${dryRun ? "would be removed" : "removed"}`;
    await out.lines(...Columns.table(rows), verdict);
    return ExitStatus.fine;
  },
};
