/**
 * `ctr run --rm` beside the real containerd. With rests between, in which a spare shim becomes warm; with no spares; and one after the other without
 * a rest, where each start pays for the spare that the one before it took.
 */
import { ctr } from "../harness/ctr.ts";
import type { TestDaemon } from "../harness/daemons.ts";
import { imageName } from "../harness/image.ts";
import type { Aim } from "./aim.ts";
import { median } from "./median.ts";
import { ratios, spreadText } from "./spread.ts";
import { namespace, onStage, type Stage } from "./stage.ts";
import { inTurn, milliseconds, roundsOr } from "./turns.ts";

const rounds = roundsOr(20);
const WARM_UP = 2;
/** A spare takes a few tenths of a second to be warm. */
const REST_MS = 1_000;
/** Runs without a rest that are one figure. */
const IN_A_ROW = 8;

async function run(stage: Stage, daemon: TestDaemon): Promise<void> {
  const { code, stderr } = await ctr(daemon.address, namespace, ["run", "--rm", imageName, stage.newId(), "true"]);
  if (code !== 0) throw new Error(`ctr run on ${daemon.name}: ${stderr}`);
}

export async function benchRun(print: (line: string) => void): Promise<readonly Aim[]> {
  return onStage(async (stage) => {
    const [spare, none, reference] = [
      await stage.shiplogd({ spares: 1 }),
      await stage.shiplogd({ spares: 0 }),
      await stage.containerd(),
    ];
    for (const daemon of [spare, none, reference]) await stage.importImage(daemon);

    const once = await inTurn(
      {
        spare: () => milliseconds(() => run(stage, spare)),
        none: () => milliseconds(() => run(stage, none)),
        reference: () => milliseconds(() => run(stage, reference)),
      },
      { rounds, warmUp: WARM_UP, restMs: REST_MS },
    );
    const withSpare = ratios(once.spare, once.reference);
    const shown = (name: string, ours: readonly number[], theirs: readonly number[], count: string) =>
      print(
        `ctr run --rm, ${name}, median of ${count} (middle half): shiplog ${spreadText(ours, "ms")}, ` +
          `containerd ${spreadText(theirs, "ms")}, ratio ${spreadText(ratios(ours, theirs), "x", 2)}`,
      );
    shown("a warm spare", once.spare, once.reference, `${rounds}`);
    shown("no spares", once.none, once.reference, `${rounds}`);

    const inARow = async (daemon: TestDaemon) => {
      const all = await milliseconds(async () => {
        for (let count = 0; count < IN_A_ROW; count++) await run(stage, daemon);
      });
      return all / IN_A_ROW;
    };
    const blocks = Math.ceil(rounds / 4);
    const row = await inTurn(
      { spare: () => inARow(spare), none: () => inARow(none), reference: () => inARow(reference) },
      { rounds: blocks, warmUp: 0, restMs: REST_MS },
    );
    const count = `${blocks} x ${IN_A_ROW}`;
    shown("back to back, one spare kept", row.spare, row.reference, count);
    shown("back to back, no spares", row.none, row.reference, count);
    return [{ what: "ctr run --rm with a spare", measured: median(withSpare), unit: "x", bound: { atMost: 1 } }];
  });
}

if (import.meta.main) await benchRun(console.log);
