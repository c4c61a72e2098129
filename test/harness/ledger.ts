/** A real ledger on a root of its own: log, tables and deciders as in the daemon, without the services. */
import { Log } from "../../src/events/mod.ts";
import { openLedger, type Ledger, type Origin } from "../../src/ledger.ts";
import { Files, type OperationHook, proceed, systemClock } from "../../src/platform/mod.ts";
import { core, Tables } from "../../src/projections/mod.ts";

export interface OpenLedger {
  readonly root: string;
  readonly log: Log;
  readonly tables: Tables;
  readonly ledger: Ledger;
  close(): Promise<void>;
}

/** Opens the ledger in `root`, as a daemon's start does; may be closed and opened again. `hook` sees each file operation. */
export async function openLedgerIn(root: string, hook: OperationHook = proceed): Promise<OpenLedger> {
  const files = new Files(hook);
  const onFatal = () => {};
  const log = await Log.open({ root, files, segmentBytes: 1024 * 1024, onFatal });
  const tables = await Tables.open({ root, files, projection: core, log, onFatal, onDiscarded: () => {} });
  return {
    root,
    log,
    tables,
    ledger: openLedger({ log, tables, clock: systemClock }),
    close: async () => {
      await tables.close();
      await log.close();
    },
  };
}

/** The origin of a test's own commands. */
export const testOrigin = (namespace: string): Origin => ({
  namespace,
  principal: { uid: 0, gid: 0, pid: process.pid, client: "test" },
  request: "test",
});
