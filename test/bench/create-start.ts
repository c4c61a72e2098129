/**
 * Creating and starting a task through the gRPC API, beside the real containerd: how long a client waits for the reply of Create, and for that of Start.
 * The container's record is there and its root filesystem is a bind mount, so that this is the daemon's and its shim's work alone.
 */
import { Containers } from "./containers.ts";
import { ratios, spreadText } from "./spread.ts";
import { onStage } from "./stage.ts";
import { inTurn, milliseconds, roundsOr } from "./turns.ts";

const rounds = roundsOr(20);
const WARM_UP = 2;
const REST_MS = 1_000;

interface Times {
  readonly create: number;
  readonly start: number;
}

async function createAndStart(client: Containers): Promise<Times> {
  const id = await client.define(["sleep", "1000000"]);
  const create = await milliseconds(() => client.create(id));
  const start = await milliseconds(() => client.start(id));
  await client.remove(id);
  return { create, start };
}

export async function benchCreateStart(print: (line: string) => void): Promise<void> {
  await onStage(async (stage) => {
    const [spare, none, reference] = [
      new Containers(stage, await stage.shiplogd({ spares: 1 })),
      new Containers(stage, await stage.shiplogd({ spares: 0 })),
      new Containers(stage, await stage.containerd()),
    ];
    const times = await inTurn(
      {
        spare: () => createAndStart(spare),
        none: () => createAndStart(none),
        reference: () => createAndStart(reference),
      },
      { rounds, warmUp: WARM_UP, restMs: REST_MS },
    );
    for (const client of [spare, none, reference]) client.close();
    for (const [name, all] of [
      ["a warm spare", times.spare],
      ["no spares", times.none],
    ] as const) {
      for (const [step, figure] of [
        ["Create", ({ create }: Times) => create],
        ["Start", ({ start }: Times) => start],
        ["Create and Start", ({ create, start }: Times) => create + start],
      ] as const) {
        const [ours, theirs] = [all.map(figure), times.reference.map(figure)];
        print(
          `API, ${name}, time to the reply of ${step}, median of ${rounds} (middle half): shiplog ${spreadText(ours, "ms")}, ` +
            `containerd ${spreadText(theirs, "ms")}, ratio ${spreadText(ratios(ours, theirs), "x", 2)}`,
        );
      }
    }
  });
}

if (import.meta.main) await benchCreateStart(console.log);
