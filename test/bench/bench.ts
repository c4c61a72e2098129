/** Every benchmark in turn. Figures are printed, never asserted: a machine's speed is no property of the code. */
import { benchContainerLogs } from "./container-logs.ts";
import { benchDiff } from "./diff.ts";
import { benchLedger } from "./ledger.ts";
import { benchLog } from "./log.ts";
import { benchRun } from "./run.ts";
import { benchServices } from "./services.ts";

await benchLog(console.log);
await benchLedger(console.log);
await benchRun(console.log);
await benchServices(console.log);
await benchDiff(console.log);
await benchContainerLogs(console.log);
