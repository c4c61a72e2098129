/** The public face of the projections: the core tables that the daemon decides and answers from, and the means to check them. */
export { checkRows, type StoreComparison } from "./compare.ts";
export { core } from "./core.ts";
export type { Projection } from "./definition.ts";
export { Fold, type FactSource } from "./fold.ts";
export type { Heads } from "./heads.ts";
export { RowStore, type VersionedRow } from "./row-store.ts";
export { type LivingRow, type Look, rowNameOf, type Selection } from "./look.ts";
export type { RowName, Stretch } from "./row-key.ts";
export { kinds, parseStream, streamName, tableName } from "./stream.ts";
export { openRowsReadOnly, type RebuildReport, Tables } from "./tables.ts";
export type { Table, View } from "./view.ts";
