/** What a row says, in a few words, one entry a table. Shares its vocabulary with the facts that made the row. */
import type { Kind } from "../../machines/mod.ts";
import { Fields, type Value } from "./fields.ts";
import { joined, labels, type Summary } from "./summary.ts";
import { bytes, counted, printable, shortDigest } from "./text.ts";

const summaries: Readonly<Record<Kind, Summary>> = {
  namespace: labels,
  container: (row) => joined(row.text("image"), row.under("runtime").text("name"), labels(row)),
  image: (row) => joined(shortDigest(row.under("target").text("digest")), labels(row)),
  lease: (row) => joined(counted(row.list("resources").length, "resource"), labels(row)),
  ingest: (row) => joined(row.number("total") > 0 ? bytes(row.number("total")) : "", shortDigest(row.text("expected"))),
  blob: (row) => joined(bytes(row.number("size")), labels(row)),
  snapshot: (row) =>
    joined(row.text("status"), row.text("parent") === "" ? "" : `on ${shortDigest(row.text("parent"))}`, labels(row)),
  task: (row) => joined(row.text("status"), row.number("pid") > 0 ? `pid ${row.number("pid")}` : "", exit(row.under("exit"))),
  collection: (row) => joined(counted(row.number("count"), "collection"), `${row.number("removed")} removed`),
  event: (row) => counted(row.number("count"), "envelope"),
  volume: (row) =>
    joined(row.text("sharing"), `on ${row.text("snapshotter")}`, counted(row.under("mounts").names().length, "mount"), labels(row)),
  entry: (row) => joined(row.under("value").text("typeUrl"), bytes(row.under("value").byteLength("value"))),
};

const exit: Summary = (ended) => (ended.names().length === 0 ? "" : `status ${ended.number("status")}`);

export const kinds = Object.keys(summaries) as readonly Kind[];

export const isKind = (text: string): text is Kind => Object.hasOwn(summaries, text);

/** May be empty. Safe for a terminal. */
export const rowSummary = (table: string, row: Value): string =>
  printable(isKind(table) ? summaries[table](new Fields(row)) : "");
