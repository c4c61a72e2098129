/** The form of a script: steps in order, each compared on all daemons. Owns no command. */
import type { Scene } from "./scene.ts";

/** What only one daemon can show, by reason; lines that match are left out on both sides. */
export interface ShownApart {
  readonly reason: string;
  readonly lines: RegExp;
  /** Only from Debian 13's. */
  readonly newer?: true;
}

export interface ScriptStep {
  /** Arguments of ctr, or a line for the shell, where a command needs a pipe, a terminal, or what others made. */
  readonly command: readonly string[] | string;
  /** Runs before the next step until its output (ids and times aside) contains this: for what happens on its own time. */
  readonly until?: string;
  /** The order of the lines says nothing. */
  readonly unordered?: true;
  readonly differs?: ShownApart;
  /** Only a ctr that knows the sub-command or flags runs it: Debian 13's has more than Debian 12's. */
  readonly newer?: true;
}

/** A step that ctr has no command for: a call of the API, a client's end of a FIFO, the daemon's own end. */
export interface Act {
  readonly name: string;
  /** What it comes to is compared, or the status that a call ends with. */
  act(scene: Scene): unknown;
}

export type Step = ScriptStep | Act;

/** What a script's commands name. */
export interface Setting {
  readonly image: {
    readonly name: string;
    readonly archive: string;
    readonly manifest: string;
    readonly layers: readonly string[];
  };
  /** A directory of the daemon's own, in which shell steps run; it has `rootfs`, `fifos` and `spec.json`. */
  readonly directory: string;
  /** The same directory for both daemons, where a path goes into bytes that are compared. */
  readonly shared: string;
  readonly fifos: string;
  readonly namespace: string;
  /** A registry on the loopback, as in references. */
  readonly registry: string;
}

/** In a namespace of its own. */
export interface Script {
  readonly name: string;
  steps(setting: Setting): readonly Step[];
  /** Events that may come before a subscriber is back, as those of what ends while the daemon is away. */
  readonly untold?: RegExp;
}

/** A command of ctr with nothing special about it. */
export const plain = (...command: readonly string[]): ScriptStep => ({ command });

/** A line for the shell. */
export const shell = (command: string, rest: Omit<ScriptStep, "command"> = {}): ScriptStep => ({ command, ...rest });

/** What ctr has no command for. */
export const act = (name: string, does: Act["act"]): Act => ({ name, act: does });

/**
 * A process on a terminal, through ctr and a terminal of its own: `line` runs `sh -c` with what is added to it. The process waits for the size that the
 * terminal has, and ends when it is told to, after its output has been seen: a client may not have opened its end yet when a process ends at once, and
 * gives up then.
 */
export const terminal = (line: string, name: string): ScriptStep => {
  const process =
    'stty -echo; until [ "$(stty size 2>/dev/null)" = "30 100" ]; do sleep 0.02; done; test -t 0 && echo a terminal; read line; exit $line';
  const inside = `stty rows 30 cols 100 -echo; ${line} sh -c '${process}'`;
  const seen = `${name}.seen`;
  const types = `for i in $(seq 1000); do grep -q 'a terminal' ${seen} 2>/dev/null && break; sleep 0.02; done; echo 4`;
  return shell(
    `set -o pipefail; (${types}) | script -qec ${JSON.stringify(inside).replaceAll("$", "\\$")} /dev/null | tee ${seen}`,
  );
};
