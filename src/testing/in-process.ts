/**
 * A runtime that is nothing but deciders, in this process. Given the project's own it agrees with the model always; given others it is how
 * the model is shown to find what is wrong with them, a thousand sequences in a second.
 */
import type { Answer } from "./answer.ts";
import type { Command } from "./command.ts";
import type { Dialect } from "./dialect.ts";
import type { Endpoint, Session } from "./endpoint.ts";
import { type Part, pictureOf } from "./picture.ts";
import { expectedEvents, type Told } from "./told.ts";
import { type Deciders, here, World } from "./world.ts";

export function inProcess(name: string, dialect: Dialect, deciders?: Deciders): Endpoint {
  return { name, dialect, open: async () => session(World.empty(dialect, deciders)) };
}

function session(empty: World): Session {
  let world = empty;
  const events: Told[] = [];
  return {
    namespace: here,
    async perform(command: Command): Promise<Answer> {
      const { answer, world: after, facts } = command.predict(world)!;
      world = after;
      events.push(...expectedEvents(facts, world.dialect));
      return answer;
    },
    look: async (parts: readonly Part[]) => pictureOf(world, parts),
    events: async () => events,
    async end() {},
  };
}
