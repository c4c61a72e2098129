/** Measuring several forms of one thing in turn, so that all of them see the same machine, whatever else it does meanwhile. */
import { setTimeout as delay } from "node:timers/promises";

export interface Turns {
  readonly rounds: number;
  /** Rounds before these whose figures are not kept. */
  readonly warmUp: number;
  /** Between two measurements, for what the one left to be done, and for what is made ready beforehand to be ready for the other. */
  readonly restMs: number;
}

/** `rounds`, unless SHIPLOG_BENCH_ROUNDS asks for a quicker look. */
export function roundsOr(rounds: number): number {
  const asked = Number(process.env.SHIPLOG_BENCH_ROUNDS ?? rounds);
  if (!Number.isInteger(asked) || asked < 1) throw new Error("SHIPLOG_BENCH_ROUNDS is not a positive integer");
  return asked;
}

/** Every form once in each round; which one comes first changes from round to round. What each came to, by round. */
export async function inTurn<Form extends string, Figure>(
  forms: Readonly<Record<Form, () => Promise<Figure>>>,
  { rounds, warmUp, restMs }: Turns,
): Promise<Readonly<Record<Form, Figure[]>>> {
  const names = Object.keys(forms) as Form[];
  const figures = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<Form, Figure[]>;
  for (let round = -warmUp; round < rounds; round++) {
    const first = (round + warmUp) % names.length;
    for (const name of [...names.slice(first), ...names.slice(0, first)]) {
      await delay(restMs);
      const figure = await forms[name]();
      if (round >= 0) figures[name].push(figure);
    }
  }
  return figures;
}

/** How long `action` took. */
export async function milliseconds(action: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await action();
  return performance.now() - started;
}
