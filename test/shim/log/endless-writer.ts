/** Writes numbered lines to the log of its first argument, for as long as it lives. */
import { feed, numberedChunks, openLog } from "./log-files.ts";

await feed(await openLog(process.argv[2]!), numberedChunks(0, 10_000_000));
