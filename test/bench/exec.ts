/** One more process in a running container, from the call to its known end, beside the real containerd: by `ctr tasks exec`, and by the API's Exec, Start and Wait. */
import { ctr } from "../harness/ctr.ts";
import { Containers } from "./containers.ts";
import { ratios, spreadText } from "./spread.ts";
import { namespace, onStage } from "./stage.ts";
import { inTurn, milliseconds, roundsOr } from "./turns.ts";

const rounds = roundsOr(30);
const WARM_UP = 2;
const REST_MS = 100;

interface Subject {
  readonly client: Containers;
  /** A container that runs. */
  readonly id: string;
}

export async function benchExec(print: (line: string) => void): Promise<void> {
  await onStage(async (stage) => {
    const subjects: Subject[] = [];
    for (const daemon of [await stage.shiplogd(), await stage.containerd()]) {
      const client = new Containers(stage, daemon);
      subjects.push({ client, id: (await client.run(["sleep", "1000000"])).id });
    }
    const byCtr = async ({ client, id }: Subject) => {
      const args = ["tasks", "exec", "--exec-id", stage.newId(), id, "true"];
      return milliseconds(async () => {
        const { code, stderr } = await ctr(client.daemon.address, namespace, args);
        if (code !== 0) throw new Error(`ctr tasks exec on ${client.daemon.name}: ${stderr}`);
      });
    };
    const byApi = async ({ client, id }: Subject) => {
      const execId = stage.newId();
      const time = await milliseconds(async () => {
        const status = await client.exec(id, execId, ["true"]);
        if (status !== 0) throw new Error(`exec on ${client.daemon.name}: exit status ${status}`);
      });
      await client.deleteExec(id, execId);
      return time;
    };
    for (const [name, form] of [
      ["ctr tasks exec", byCtr],
      ["API, Exec to the reply of Wait", byApi],
    ] as const) {
      const [ours, theirs] = subjects;
      const times = await inTurn(
        { ours: () => form(ours!), theirs: () => form(theirs!) },
        { rounds, warmUp: WARM_UP, restMs: REST_MS },
      );
      print(
        `${name}, median of ${rounds} (middle half): shiplog ${spreadText(times.ours, "ms")}, ` +
          `containerd ${spreadText(times.theirs, "ms")}, ratio ${spreadText(ratios(times.ours, times.theirs), "x", 2)}`,
      );
    }
    for (const { client } of subjects) client.close();
  });
}

if (import.meta.main) await benchExec(console.log);
