import type { Row } from "../../wire/gen/shiplog/events/v1/log.ts";
import { type Command, ExitStatus, UsageError } from "../command.ts";
import { Columns, counted, decode, isKind, kinds, parseTime, printable, rowJson, rowSummary, type Style } from "../render/mod.ts";

export const state: Command = {
  name: "state",
  summary: "print what there was at a position or a time",
  help: `Usage: shiplog state --at POSITION|TIME [KIND]

Prints every entity as it was when the log ended before POSITION, or at TIME (RFC 3339, as 2026-11-24T06:00:00Z): in the namespace,
of all kinds or of one.

Kinds: ${kinds.join(", ")}.
`,
  flags: { at: { type: "string" } },

  async run({ log, out, json, namespace }, flags, operands) {
    if (flags.at === undefined) throw new UsageError("state takes --at POSITION or --at TIME");
    const [kind, surplus] = operands;
    if (surplus !== undefined) throw new UsageError(`state takes one KIND at most, but got "${surplus}" as well`);
    if (kind !== undefined && !isKind(kind)) throw new UsageError(`there is no kind "${kind}"; kinds are ${kinds.join(", ")}`);

    const rows: Row[] = [];
    let asOf = String(flags.at);
    for await (const response of log.stateAt({ ...instant(String(flags.at)), namespace })) {
      asOf = `position ${response.position}`;
      rows.push(...response.rows.filter((row) => kind === undefined || row.table === kind));
    }
    if (json) await out.lines(...rows.map(rowJson));
    else await out.lines(...table(rows, out.style), out.style("dim", `${counted(rows.length, "row")} in ${namespace} as of ${asOf}`));
    return ExitStatus.fine;
  },
};

/** A whole number is a position, anything else has to be a time. */
function instant(text: string): { position: bigint } | { timeUnixNano: bigint } {
  if (/^\d{1,19}$/.test(text)) return { position: BigInt(text) };
  const time = parseTime(text);
  if (time === undefined) throw new UsageError(`--at takes a position or an RFC 3339 time, as 2026-11-24T06:00:00Z, not "${text}"`);
  return { timeUnixNano: time };
}

function table(rows: readonly Row[], style: Style): string[] {
  if (rows.length === 0) return [];
  const heading = ["KIND", "KEY", "VERSION", "POS", ""].map((name) => style("dim", name));
  const cells = rows.map((row) => [
    row.table,
    style("bold", printable(row.key)),
    String(row.streamVersion),
    style("dim", String(row.position)),
    rowSummary(row.table, decode(row.value)),
  ]);
  return Columns.table([heading, ...cells]);
}
