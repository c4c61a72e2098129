/**
 * The last of shrinking: commands and what may be left out of them are left out for as long as something still goes wrong. What
 * two commands have in common, which fast-check cannot change in both at once, is made the simplest that there is.
 */
import { Command } from "./command.ts";
import { Discrepancy } from "./discrepancy.ts";
import type { Endpoint } from "./endpoint.ts";
import { readScript } from "./script.ts";
import { runTogether } from "./together.ts";

/** Sequences that are tried at most. */
const triesMax = 300;

/** The discrepancy with the fewest and plainest commands that could be found. */
export async function minimal(found: Discrepancy, endpoints: readonly Endpoint[]): Promise<Discrepancy> {
  // What comes after the command at which it shows has no part in it.
  const { commands, index } = found.details;
  let best = (await wrong(commands.slice(0, index + 1), endpoints)) ?? found;
  const tried = new Set<string>();
  const untried = () => {
    for (const candidate of simpler(best.details.commands)) if (!tried.has(candidate.join("\n"))) return candidate;
    return undefined;
  };
  for (let next = untried(); next !== undefined && tried.size < triesMax; next = untried()) {
    tried.add(next.join("\n"));
    best = (await wrong(next, endpoints)) ?? best;
  }
  return best;
}

async function wrong(commands: readonly Command[], endpoints: readonly Endpoint[]): Promise<Discrepancy | undefined> {
  try {
    await runTogether(commands, endpoints);
  } catch (error) {
    if (error instanceof Discrepancy) return error;
    throw error;
  }
  return undefined;
}

/** Sequences that say less, the shortest first. */
function* simpler(commands: readonly Command[]): Generator<readonly Command[], void, void> {
  for (let index = commands.length - 1; index >= 0; index -= 1) yield commands.toSpliced(index, 1);
  for (const [index, { type, given }] of commands.entries()) {
    for (const [name, empty] of type.form.empty(given))
      yield commands.with(index, new Command(type, { ...given, [name]: empty }));
  }
  const types = [...new Set(commands.map(({ type }) => type))];
  for (const [from, to] of renamings) {
    const renamed = commands.join("\n").replaceAll(from, to);
    if (renamed !== commands.join("\n")) yield readScript(renamed, types);
  }
}

const renamings: readonly (readonly [RegExp, string])[] = [
  [/\by\b/g, "x"],
  [/\be1\b/g, "e0"],
  [/\bk[12]\b/g, "k0"],
  [/\bk2\b/g, "k1"],
  [/\boverlayfs\b/g, "native"],
  [/@ab\b/g, "@a"],
];
