/** What a ctr has: its sub-commands and their flags, as its own `--help` tells of them, and which of them a script uses. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

export interface Command {
  /** Every name that it goes by, the full one first. */
  readonly names: readonly string[];
  /** Every spelling of each flag, as `--quiet` and `-q`. */
  readonly flags: readonly (readonly string[])[];
  readonly commands: readonly Command[];
}

const run = promisify(execFile);

/** Reads the help of a command and of all below it. */
export async function readCommand(names: readonly string[] = [], above: readonly string[] = []): Promise<Command> {
  const path = [...above, ...names.slice(0, 1)];
  const { stdout } = await run("ctr", [...path, "--help"], { env: { PATH: process.env.PATH } });
  const rows = (title: RegExp) => {
    const lines = stdout.split("\n");
    const first = lines.findIndex((line) => title.test(line)) + 1;
    if (first === 0) return [];
    const last = lines.findIndex((line, index) => index >= first && line.trim() === "");
    return lines.slice(first, last === -1 ? undefined : last).map((line) => line.trim());
  };
  const spellings = (row: string) =>
    row
      .split(/ {2,}/)[0]!
      .split(", ")
      .map((each) => each.split(" ")[0]!);
  const flags = rows(/^(GLOBAL )?OPTIONS:/)
    .map(spellings)
    .filter(([flag]) => flag!.startsWith("-") && flag !== "--help");
  const below = rows(/^COMMANDS:/)
    .map(spellings)
    .filter(([name]) => name !== "help");
  return { names, flags, commands: await Promise.all(below.map((each) => readCommand(each, path))) };
}

/** Each sub-command without any below it and each flag, as `images list` and `images list --quiet`. */
export function entriesOf(command: Command, above: readonly string[] = []): readonly string[] {
  const path = [...above, ...command.names.slice(0, 1)];
  const own = command.commands.length === 0 ? [path.join(" ")] : [];
  const flags = command.flags.map((spellings) => [...path, spellings[0]!].join(" "));
  return [...own, ...flags, ...command.commands.flatMap((each) => entriesOf(each, path))];
}

/** The entries that a command line uses; words after the command's own are taken for its arguments. */
export function usedBy(root: Command, words: readonly string[]): readonly string[] {
  const used: string[] = [];
  const path: string[] = [];
  let at = root;
  for (const word of words) {
    const next = at.commands.find(({ names }) => names.includes(word));
    if (next !== undefined) {
      path.push(next.names[0]!);
      at = next;
      if (at.commands.length === 0) used.push(path.join(" "));
      continue;
    }
    const flag = at.flags.find((spellings) => spellings.includes(word));
    if (flag !== undefined) used.push([...path, flag[0]!].join(" "));
  }
  return used;
}

/** The command lines of ctr in a line for the shell. */
export function commandLines(line: string): readonly (readonly string[])[] {
  return [...line.matchAll(/\bctr ([^|;&<>]*)/g)].map(([, rest]) => rest!.split(/[\s()]+/));
}
