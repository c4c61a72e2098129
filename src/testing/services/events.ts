/** What a client publishes itself. Source: events/exchange. */
import fc from "fast-check";
import { events } from "../../wire/mod.ts";
import { command } from "../command.ts";
import { moves } from "../prediction.ts";

const topic = fc.constantFrom("/some/topic", "/other/topic");
const typeUrl = "some.Type";

export const eventCommands = [
  command("events publish TOPIC", {
    with: { topic },
    predict(world, { topic }) {
      const event = { typeUrl, value: new Uint8Array() };
      return moves(world, [
        { kind: "event", key: topic, command: { type: "PublishEvent", topic, event, timestamp: 0n } },
      ]);
    },
    async call(caller, { topic }) {
      await caller.ask(events.EventsDefinition, "publish", { topic, event: { typeUrl, value: Buffer.alloc(0) } });
    },
  }),
];
