/** Several clients at once in one namespace: what each was told must fit one order of all that they asked, and what is there at the end. */
import fc from "fast-check";
import { Command, commandOf, type CommandType } from "./command.ts";
import { type Endpoint, inSession, type Session } from "./endpoint.ts";
import { type Call, linearize } from "./linearize.ts";
import { parts } from "./picture.ts";
import { printScript } from "./script.ts";
import { sameAnswer } from "./sequence.ts";
import { World } from "./world.ts";

/** What is asked first, and then what each client asks, one command after another. */
export interface Clients {
  readonly before: readonly Command[];
  readonly clients: readonly (readonly Command[])[];
  /** The runtime is killed when it has given so many answers, in the middle of the other calls. */
  readonly killAfter?: number;
}

/** Clients, and commands of each, at most: the orders of all of them are searched. */
const clientsMax = 3;
const commandsMax = 3;
const beforeMax = 6;

/** The same clients with a kill among their calls. */
export const killedClientsOf = (types: readonly CommandType[]): fc.Arbitrary<Clients> =>
  fc
    .tuple(clientsOf(types), fc.nat(clientsMax * commandsMax - 1))
    .map(([clients, killAfter]) => ({ ...clients, killAfter }));

/** Of the types given, those commands that take effect at one moment. */
export function clientsOf(types: readonly CommandType[]): fc.Arbitrary<Clients> {
  const any = commandOf(types.filter(({ atomic }) => atomic)).map(atOneMoment);
  return fc.noBias(
    fc.record({
      before: fc.array(any, { maxLength: beforeMax, size: "max" }),
      clients: fc.array(fc.array(any, { minLength: 1, maxLength: commandsMax, size: "max" }), {
        minLength: 2,
        maxLength: clientsMax,
        size: "max",
      }),
    }),
  );
}

/** An upload looks at its lease, and at what it expects, at its beginning and again at its end. */
function atOneMoment(command: Command): Command {
  const { given, type } = command;
  const { sync, expected, ref } = given;
  if (sync !== true && ref === undefined) return command;
  return new Command(type, {
    ...given,
    ...(sync !== undefined && { sync: false }),
    ...(expected !== undefined && { expected: "", lease: "" }),
  });
}

/** That no order of the calls gives the answers that came. */
export class NotLinearizable extends Error {
  override readonly name = "NotLinearizable";
  readonly calls: readonly Call[];

  constructor(endpoint: string, { before, clients }: Clients, calls: readonly Call[], why: string) {
    const heading = (text: string, commands: readonly Command[]) => `# ${text}\n${printScript(commands)}`;
    super(
      [
        `${endpoint}: ${why}`,
        heading("first", before),
        ...clients.map((commands, index) => heading(`client ${index + 1}`, commands)),
        ...calls.map(
          ({ command, answer, began, ended }) => `  ${began}-${ended} ${command} → ${answer?.code ?? "killed"}`,
        ),
      ].join("\n"),
    );
    this.calls = calls;
  }
}

/** @throws NotLinearizable */
export function runConcurrently(asked: Clients, endpoint: Endpoint): Promise<readonly Call[]> {
  const wrong = (calls: readonly Call[], why: string) => new NotLinearizable(endpoint.name, asked, calls, why);
  return inSession(endpoint, async (session) => {
    let world = World.empty(endpoint.dialect);
    for (const command of asked.before) {
      const prediction = command.predict(world);
      if (prediction === undefined) continue;
      const answer = await session.perform(command);
      if (!sameAnswer(prediction.answer, answer)) {
        throw wrong([], `${command} was answered ${answer.code} with nothing else going on`);
      }
      world = prediction.world;
    }
    const calls = await askAll(asked, session);
    const seen = await session.look(parts.filter((part) => part !== "tasks"));
    if (linearize(world, calls, seen) !== undefined) return calls;
    throw wrong(calls, `no order gives these answers and ends in ${JSON.stringify(seen)}`);
  });
}

/** Every call with its answer; once the runtime is killed, those that are under way have none and no more are made. */
async function askAll({ clients, killAfter }: Clients, session: Session): Promise<readonly Call[]> {
  const calls: Call[] = [];
  let clock = 0;
  let answers = 0;
  let killed: Promise<void> | undefined;
  const kill = () => {
    if (answers === killAfter) killed ??= session.crash!();
  };
  const client = async (commands: readonly Command[]) => {
    for (const command of commands) {
      if (killed !== undefined) return;
      clock += 1;
      const began = clock;
      const asked = session.perform(command);
      kill();
      const answer = await asked;
      clock += 1;
      answers += 1;
      const isCut = killed !== undefined && cutOff.has(answer.code);
      calls.push({ command, answer: isCut ? undefined : answer, began, ended: clock });
      kill();
    }
  };
  await Promise.all(clients.map(client));
  await killed;
  return calls;
}

/** How gRPC tells that nobody has answered. */
const cutOff: ReadonlySet<string> = new Set(["Unavailable", "Cancelled", "Internal", "Unknown"]);
