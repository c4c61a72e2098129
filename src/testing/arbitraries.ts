/**
 * Sequences of commands. A sequence is of one mixture of services each time, for commands that have nothing to do with each other seldom meet;
 * in one mixture all of them come together.
 */
import fc from "fast-check";
import { Command, type CommandType, commandOf } from "./command.ts";
import { motifsOf } from "./motifs.ts";
import { readScript } from "./script.ts";
import { containerCommands } from "./services/containers.ts";
import { contentCommands } from "./services/content.ts";
import { eventCommands } from "./services/events.ts";
import { faultCommands } from "./services/faults.ts";
import { imageCommands } from "./services/images.ts";
import { leaseCommands } from "./services/leases.ts";
import { namespaceCommands } from "./services/namespaces.ts";
import { snapshotCommands } from "./services/snapshots.ts";
import { taskCommands } from "./services/tasks.ts";

/** Commands of a sequence at most, a motif counted as one. */
export const commandsMaxDefault = 12;

/** What is asked for together: what is made, what holds it, and what collects the rest. */
export const mixtures: readonly (readonly CommandType[])[] = [
  [...snapshotCommands, ...leaseCommands],
  [...contentCommands, ...leaseCommands],
  [...containerCommands, ...snapshotCommands, ...leaseCommands],
  [...imageCommands, ...contentCommands, ...leaseCommands],
  [...containerCommands, ...imageCommands],
  [...namespaceCommands, ...contentCommands, ...leaseCommands],
  [
    ...namespaceCommands,
    ...containerCommands,
    ...imageCommands,
    ...leaseCommands,
    ...contentCommands,
    ...snapshotCommands,
    ...eventCommands,
  ],
];

/** Every type of command that changes nothing but records: hundreds take a second. */
export const recordTypes: readonly CommandType[] = mixtures.at(-1)!;

/** Commands of these types, with a motif now and then. */
export function sequenceOf(
  types: readonly CommandType[],
  commandsMax = commandsMaxDefault,
): fc.Arbitrary<readonly Command[]> {
  const one = commandOf(types).map((command): readonly Command[] => [command]);
  const motifs = motifsOf(types);
  const some =
    motifs.length === 0
      ? one
      : fc.oneof({ weight: 6, arbitrary: one }, { weight: 1, arbitrary: fc.constantFrom(...motifs) });
  return fc.array(some, { minLength: 1, maxLength: commandsMax, size: "max" }).map((parts) => parts.flat());
}

/** Sequences of any of the mixtures. */
export const sequences = (commandsMax = commandsMaxDefault): fc.Arbitrary<readonly Command[]> =>
  fc.noBias(fc.oneof(...mixtures.map((types) => sequenceOf(types, commandsMax))));

const container = "containers create x";
/** What most of a task's commands need; fast-check takes the first for the simplest. */
const beginnings = [[], [container], [container, "tasks create x"], [container, "tasks create x", "tasks start x"]];

export const taskTypes: readonly CommandType[] = [...containerCommands, ...taskCommands];

/** Containers that run: each costs a shim and runc's time. */
export const taskSequences = (commandsMax = commandsMaxDefault): fc.Arbitrary<readonly Command[]> =>
  begun(sequenceOf([containerCommands[0]!, ...taskCommands], commandsMax));

/** Records and tasks with faults between them, for an endpoint that can have them. Each fault costs a start of the runtime. */
export const faultSequences = (commandsMax = commandsMaxDefault): fc.Arbitrary<readonly Command[]> =>
  begun(
    sequenceOf(
      [
        ...faultCommands,
        ...taskCommands,
        containerCommands[0]!,
        ...snapshotCommands,
        ...contentCommands,
        ...leaseCommands,
      ],
      commandsMax,
    ),
  );

const begun = (any: fc.Arbitrary<readonly Command[]>): fc.Arbitrary<readonly Command[]> =>
  fc
    .tuple(fc.constantFrom(...beginnings), fc.noBias(any))
    .map(([beginning, commands]) => [...readScript(beginning.join("\n"), taskTypes), ...commands]);

/** Every type of command, by which scripts are read. */
export const commandTypes: readonly CommandType[] = [...recordTypes, ...taskCommands, ...faultCommands];

/** The same without waiting for collections, which know no namespace: one sequence's would take away what another has just made. */
export const withoutCollections = (any: fc.Arbitrary<readonly Command[]>): fc.Arbitrary<readonly Command[]> =>
  any.map((commands) =>
    commands.map((command) =>
      command.given.sync === true ? new Command(command.type, { ...command.given, sync: false }) : command,
    ),
  );
