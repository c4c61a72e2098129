/** What befalls a runtime: nothing that anybody can see comes of it. Only asked of endpoints that can have faults. */
import { command } from "../command.ts";
import { id } from "../names.ts";
import { type Part, parts } from "../picture.ts";
import { answers, moves } from "../prediction.ts";

const everything: readonly Part[] = parts;

export const faultCommands = [
  command("daemon kill", {
    weight: 3,
    atomic: false,
    changes: everything,
    with: {},
    predict: (world) => answers(world, undefined),
    async call(caller) {
      await caller.faults.killDaemon();
      await caller.connectAnew();
    },
  }),

  command("daemon rebuild", {
    weight: 2,
    atomic: false,
    changes: everything,
    with: {},
    predict: (world) => answers(world, undefined),
    async call(caller) {
      await caller.faults.rebuild();
      await caller.connectAnew();
    },
  }),

  command("shim kill ID", {
    weight: 4,
    atomic: false,
    changes: ["tasks"],
    with: { id },
    predict(world, { id }) {
      if (world.row("task", id) === undefined) return undefined;
      const shim = { address: "another", version: 2 };
      return moves(world, [
        { kind: "task", key: id, command: { type: "RecordShimLost", message: "killed" } },
        { kind: "task", key: id, command: { type: "RecordShimReplaced", shim } },
      ]);
    },
    call: (caller, { id }) => caller.faults.killShim(caller.namespace, id),
  }),
];
