/**
 * One sequence of commands against endpoints and the model: each command's answer, then what can be seen of that which it may have
 * changed, and at the end everything and every event.
 */
import { isDeepStrictEqual } from "node:util";
import type { Answer } from "./answer.ts";
import type { Command } from "./command.ts";
import { Discrepancy } from "./discrepancy.ts";
import { type Endpoint, inSession, type Session } from "./endpoint.ts";
import { type Part, parts, pictureOf } from "./picture.ts";
import { expectedEvents, isOfTask, type Told } from "./told.ts";
import type { Transition } from "./transition.ts";
import { World } from "./world.ts";

/** What came of it, when nothing was wrong. */
export interface Run {
  /** One for each command; undefined for one that was not to be asked. */
  readonly answers: readonly (Answer | undefined)[];
  /** The transitions that the model took, for those who count them. */
  readonly taken: readonly Transition[];
}

/** @throws Discrepancy when the endpoint does not do as the model says */
export function runSequence(commands: readonly Command[], endpoint: Endpoint): Promise<Run> {
  return inSession(endpoint, (session) => follow(commands, endpoint, session));
}

async function follow(commands: readonly Command[], endpoint: Endpoint, session: Session): Promise<Run> {
  let world = World.empty(endpoint.dialect);
  const answers: (Answer | undefined)[] = [];
  const taken: Transition[] = [];
  const expected: Told[] = [];
  const differs = (what: string, index: number, said: unknown, did: unknown) =>
    new Discrepancy({ endpoint: endpoint.name, commands, index, what, expected: said, actual: did });

  async function looksLike(looked: readonly Part[], index: number): Promise<void> {
    const [said, seen] = [pictureOf(world, looked), await session.look(looked)];
    for (const part of looked) {
      if (!isDeepStrictEqual(sorted(said[part]), sorted(seen[part])))
        throw differs(part, index, said[part], seen[part]);
    }
  }

  for (const [index, command] of commands.entries()) {
    const prediction = command.predict(world);
    if (prediction === undefined) {
      answers.push(undefined);
      continue;
    }
    const answer = await session.perform(command);
    answers.push(answer);
    if (!sameAnswer(prediction.answer, answer)) throw differs("answer", index, prediction.answer, answer);
    world = prediction.world;
    taken.push(...prediction.taken);
    expected.push(...expectedEvents(prediction.facts, endpoint.dialect));
    // A refusal that changed something shows at the end.
    if (answer.code === "OK")
      await looksLike(
        command.type.changes.filter((part) => part !== "namespace"),
        index,
      );
  }
  await looksLike(partsOf(commands), commands.length - 1);
  const events = await session.events(expected.length);
  for (const isOne of [(each: Told) => !isOfTask(each), isOfTask]) {
    const [said, heard] = [expected.filter(isOne), events.filter(isOne)];
    if (!isDeepStrictEqual(said, heard)) throw differs("events", commands.length - 1, said, heard);
  }
  return { answers, taken };
}

/** Everything, but tasks only where one may have been made: elsewhere asking for them is of no use. */
const partsOf = (commands: readonly Command[]): readonly Part[] =>
  parts.filter((part) => part !== "tasks" || commands.some(({ type }) => type.changes.includes("tasks")));

/** Class and value, where the model says what it is. */
export const sameAnswer = (said: Answer, answer: Answer): boolean =>
  said.code === answer.code && (said.value === undefined || isDeepStrictEqual(plain(said.value), plain(answer.value)));

/** Lists by their text: runtimes order what has a digest's name by the digest. */
export const sorted = (value: unknown): unknown =>
  Array.isArray(value) ? value.map((each) => JSON.stringify(plain(each))).sort() : plain(value);

/** With every map's keys in order, and without prototypes. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  const entries = Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1));
  return Object.fromEntries(entries.map(([key, each]) => [key, plain(each)]));
}
