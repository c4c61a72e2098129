/** Transitions that no sequence of commands brings about for certain, and why. The deciders' own tests take every one of them. */

export interface Unreachable {
  /** By the names of `coverage.ts`. */
  readonly transitions: RegExp;
  readonly reason: string;
}

const late = "Record(StartFailed|SignalFailed|DeleteFailed)";

export const unreachable: readonly Unreachable[] = [
  {
    transitions: /^(?!namespace|container|image|lease|ingest|blob|snapshot|task|exec|collection|event)/,
    reason: "containerd has nothing of the kind",
  },
  {
    transitions: /^snapshot: (taking |\w+ (?!(Prepare|View|Commit|Seal|Update|Remove)Snapshot ))/,
    reason: "no call of containerd's API asks for it",
  },
  { transitions: /^task: \w+ RecordOomed /, reason: "the model's processes use no memory" },
  { transitions: /^task: \w+ (CheckpointTask|RecordCheckpoint\w+) /, reason: "a checkpoint needs criu" },
  {
    transitions: new RegExp(`^task: \\w+ ${late} `),
    reason: "an answer that finds its intent closed, or a failure of what runc does not fail at",
  },
  {
    transitions: /^task: (absent|creating|starting|paused|stopped|deleting) (RecordSignalled|RecordExecStartFailed) /,
    reason: "an answer that finds its intent closed by something that happened meanwhile",
  },
  {
    transitions: /^task: absent RecordDeleted |^task: (created|stopped) RecordDeleted /,
    reason: "a deletion that a crash cut short, or one that is reported twice",
  },
  {
    transitions:
      /^task: starting (?!RecordStarted )|^task: creating RecordShimLost |^task: deleting (?!RecordDeleted )/,
    reason: "the status lasts as long as a call: what comes to it then is a race",
  },
  {
    transitions:
      /^task: (created|running|paused|stopped) RecordStarted |^task: running RecordResumed |^task: paused RecordPaused /,
    reason: "a report that says what is known already, or comes late",
  },
  {
    transitions: /^task: paused (SignalTask|RecordExited|RecordExecStarted|RecordExecExited) /,
    reason: "whether what is frozen can be killed is the kernel's to say",
  },
  {
    transitions: /^task: stopped (RecordExited|RecordUpdated|RecordExecStarted|RecordExecExited) /,
    reason: "a report that comes after the end of what it is about",
  },
  {
    transitions: /^exec: (absent|added) (RecordExecStartFailed) |^exec: absent RecordExecDeleted /,
    reason: "a report of a process that is gone, or was never started",
  },
  {
    transitions:
      /^exec: starting (SignalTask|RecordExecExited) |^exec: (running|stopped) RecordExec(Started|StartFailed) |^exec: stopped RecordExecExited /,
    reason: "reports that overtake each other",
  },
];
