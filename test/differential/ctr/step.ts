/** The form of a script: commands of `ctr` in order, each compared on both daemons. Owns no command. */

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
  steps(setting: Setting): readonly ScriptStep[];
}

/** A command of ctr with nothing special about it. */
export const plain = (...command: readonly string[]): ScriptStep => ({ command });

/** A line for the shell. */
export const shell = (command: string, rest: Omit<ScriptStep, "command"> = {}): ScriptStep => ({ command, ...rest });

/** The same on a terminal, whose end of input it shows in its own way. */
export const terminal = (line: string): ScriptStep =>
  shell(`set -o pipefail; script -qec ${JSON.stringify(line)} /dev/null </dev/null | tr -d '\\0^@'`, {
    differs: { reason: "the process may end before its terminal gets a size", lines: /resize pty/ },
  });
