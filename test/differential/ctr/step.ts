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
 * The exec's output is seen before it ends: it is `sh -c` of the line, and waits for a line from its client then. With containerd's shim a client may not
 * have opened its end of the output yet when an exec ends at once, and it gives up then, with nothing.
 */
export const execSeen = (flags: string, id: string, container: string, line: string): ScriptStep =>
  shell(answered(`ctr tasks exec ${flags} --exec-id ${id} ${container} sh -c '${line}; read x'`, id, ""));

/** The same on a terminal, through ctr and a terminal of its own, of whose size the process hears. `line` is what runs it, up to its command. */
export const terminal = (line: string, name: string): ScriptStep => {
  const size = '[ "$(stty size 2>/dev/null)" = "30 100" ]';
  const process = `stty -echo; until ${size}; do sleep 0.02; done; test -t 0 && echo a terminal; read line; exit $line`;
  const inside = JSON.stringify(`stty rows 30 cols 100 -echo; ${line} sh -c '${process}'`).replaceAll("$", "\\$");
  return shell(answered(`script -qec ${inside} /dev/null`, name, "4"));
};

/** A line for the shell in which a command's input is the answer, once there is some output of it. */
function answered(command: string, name: string, answer: string): string {
  const seen = `${name}.seen`;
  const waits = `for i in $(seq 1000); do [ -s ${seen} ] && break; sleep 0.02; done`;
  return `set -o pipefail; (${waits}; echo ${answer}) | ${command} | tee ${seen}`;
}
