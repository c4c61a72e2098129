/** Deciders with one seeded bug each: a guard removed, a fact not stated, a wrong order, a transition too many or too few. */
import type { StatedFact } from "../../src/events/catalogue.ts";
import { type Decider, deciders, isRejection, type Kind } from "../../src/machines/mod.ts";
import type { Deciders } from "../../src/testing/mod.ts";

type State = { readonly status: string };
type AnyCommand = { readonly type: string } & Readonly<Record<string, unknown>>;
type AnyDecider = Decider<State, AnyCommand, StatedFact>;

export interface Mutant {
  readonly name: string;
  /** Whose chart or decider it is a copy of. */
  readonly chart: Kind | "exec";
  readonly deciders: Deciders;
}

type Change = (decider: AnyDecider) => Partial<Pick<AnyDecider, "decide" | "evolve">>;

function mutant(chart: Mutant["chart"], name: string, change: Change): Mutant {
  const kind = chart === "exec" ? "task" : chart;
  const decider = deciders[kind] as unknown as AnyDecider;
  return { name: `${chart}: ${name}`, chart, deciders: { ...deciders, [kind]: { ...decider, ...change(decider) } } };
}

/** Asked this, it decides as if it had been asked that. */
const mishears =
  (type: string, heard: Readonly<Record<string, unknown>>): Change =>
  ({ decide }) => ({
    decide: (state, command) => decide(state, command.type === type ? { ...command, ...heard } : command),
  });

/** Asked this in one status, it decides as if it were in another: a transition that the chart does not have. */
const mistakes =
  (type: string, status: string, forStatus: string): Change =>
  ({ decide }) => ({
    decide: (state, command) =>
      decide(command.type === type && state.status === status ? { ...state, status: forStatus } : state, command),
  });

/** A transition that the chart has lost. */
const lacks =
  (type: string, status: string): Change =>
  ({ decide }) => ({
    decide: (state, command) =>
      command.type === type && state.status === status
        ? { rejected: "FailedPrecondition", reason: "Lost", message: "the transition was lost" }
        : decide(state, command),
  });

/** What is left of the facts. */
const states =
  (change: (facts: readonly StatedFact[]) => readonly StatedFact[]): Change =>
  ({ decide }) => ({
    decide(state, command) {
      const decided = decide(state, command);
      return isRejection(decided) ? decided : change(decided);
    },
  });

const without = (type: string): Change => states((facts) => facts.filter((fact) => fact.type !== type));
const reversed = states((facts) => facts.toReversed());

/** The fact is stated and changes no row. */
const forgets =
  (type: string): Change =>
  ({ evolve }) => ({ evolve: (state, fact) => (fact.type === type ? state : evolve(state, fact)) });

export const mutants: readonly Mutant[] = [
  mutant("namespace", "is deleted with what it holds", mishears("DeleteNamespace", { holds: [] })),
  mutant("namespace", "is labelled before it is made", reversed),
  mutant("namespace", "is made twice", mistakes("CreateNamespace", "present", "absent")),
  mutant("container", "is not deleted", without("ContainerDeleted")),
  mutant("container", "is made over another", mistakes("CreateContainer", "present", "absent")),
  mutant("image", "keeps its labels", forgets("ImageUpdated")),
  mutant("image", "cannot be updated", lacks("UpdateImage", "present")),
  mutant("lease", "does not hold what is added", without("LeaseResourceAdded")),
  mutant("lease", "lives on when its time has passed", without("LeaseExpired")),
  mutant("ingest", "begins before it has ended", reversed),
  mutant("ingest", "goes on after its commit", forgets("IngestCommitted")),
  mutant("blob", "tells of what was collected", mishears("DeleteBlob", { collected: false })),
  mutant("blob", "keeps its labels", forgets("BlobUpdated")),
  mutant("snapshot", "is removed below its children", mishears("RemoveSnapshot", { children: 0 })),
  mutant(
    "snapshot",
    "stands on one that is not committed",
    mishears("PrepareSnapshot", { observedParent: "committed" }),
  ),
  mutant("snapshot", "stays active when it is committed", without("SnapshotCommitted")),
  mutant("snapshot", "that is a view is committed", mistakes("CommitSnapshot", "view", "active")),
  mutant("task", "is deleted before its exit", reversed),
  mutant("task", "that runs is deleted", mistakes("DeleteTask", "running", "stopped")),
  mutant("task", "is not known to run", without("TaskStarted")),
  mutant("task", "cannot be killed before its start", lacks("SignalTask", "created")),
  mutant("exec", "is never known to have ended", without("ExecExited")),
  mutant("exec", "that runs is deleted", ({ decide }) => ({
    decide: (state, command) => (command.type === "CheckExecDeletable" ? [] : decide(state, command)),
  })),
  mutant("exec", "stays when it is deleted", without("ExecDeleted")),
];
