/** Sequences of commands as scripts: one command a line, written much as `ctr` is told it. Whatever is printed can be read again. */
import { Command, type CommandType } from "./command.ts";

export function printScript(commands: readonly Command[]): string {
  return commands.map((command) => `${command}\n`).join("");
}

/** The commands of a script; empty lines and those that begin with # say nothing. @throws SyntaxError for a line that is no command */
export function readScript(script: string, types: readonly CommandType[]): readonly Command[] {
  const lines = script.split("\n").map((line) => line.trim());
  return lines.filter((line) => line !== "" && !line.startsWith("#")).map((line) => readCommand(line, types));
}

function readCommand(line: string, types: readonly CommandType[]): Command {
  for (const type of types) {
    const given = type.form.read(line);
    if (given !== undefined) return new Command(type, given);
  }
  throw new SyntaxError(`no command is written so: ${line}`);
}
