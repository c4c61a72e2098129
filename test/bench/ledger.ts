/** Durable facts per second through the ledger: decide, append, move the heads, wait for the sync. Run alone or by bench.ts. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLedgerIn, testOrigin } from "../harness/ledger.ts";

const CALLERS = [1, 16, 256] as const;
const SECONDS = 3;

/** Facts in the log that start-up folds from nothing. */
const FOLDED_FACTS = 300_000;

export async function benchLedger(print: (line: string) => void): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), "shiplog-bench-"));
  try {
    const open = await openLedgerIn(root);
    let id = 0;
    const create = async (): Promise<void> => {
      const key = `lease-${id++}`;
      await open.ledger.transact(testOrigin("bench"), () => [
        { kind: "lease", key, command: { type: "CreateLease", id: key, labels: {} } },
      ]);
    };
    for (const callers of CALLERS) {
      const first = id;
      const started = performance.now();
      const deadline = started + SECONDS * 1000;
      const caller = async (): Promise<void> => {
        while (performance.now() < deadline) await create();
      };
      await Promise.all(Array.from({ length: callers }, caller));
      const perSecond = (id - first) / ((performance.now() - started) / 1000);
      print(`ledger, ${callers} callers: ${Math.round(perSecond).toLocaleString("en")} durable decisions/s`);
    }
    while (id < FOLDED_FACTS) await Promise.all(Array.from({ length: 1_000 }, create));
    await open.close();
    await rm(join(root, "projections"), { recursive: true });
    const started = performance.now();
    const again = await openLedgerIn(root);
    const seconds = (performance.now() - started) / 1000;
    const facts = again.ledger.view.next;
    print(
      `start with the tables removed, ${facts.toLocaleString("en")} facts folded and written: ${Math.round(facts / seconds).toLocaleString("en")} facts/s`,
    );
    await again.close();
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

if (import.meta.main) await benchLedger(console.log);
