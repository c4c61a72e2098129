/** The public face of rendering: facts, rows and times as people and programs read them. Pure: writes nothing, asks nobody. */
export { Columns } from "./columns.ts";
export { EventLines, historyLines } from "./fact-lines.ts";
export { decode, Fields } from "./fields.ts";
export { factJson, integer, queryRowJson, rowJson } from "./json.ts";
export { isKind, kinds, rowSummary } from "./row-summary.ts";
export { plain, styleFor, type Style } from "./style.ts";
export { bytes, counted, printable, shortDigest } from "./text.ts";
export { localTime, parseTime, utcTime } from "./time.ts";
