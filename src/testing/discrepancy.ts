/** Where a runtime and the model part: what was expected, what came, and the commands that lead there as a script. */
import { inspect } from "node:util";
import type { Command } from "./command.ts";
import { printScript } from "./script.ts";

export interface DiscrepancyDetails {
  readonly endpoint: string;
  readonly commands: readonly Command[];
  /** Of the command after which it showed. */
  readonly index: number;
  /** `answer`, `events`, or a part of what can be seen. */
  readonly what: string;
  readonly expected: unknown;
  readonly actual: unknown;
  /** What other runtimes answered to the same command. */
  readonly others?: readonly { readonly endpoint: string; readonly answer: unknown }[];
}

export class Discrepancy extends Error {
  override readonly name = "Discrepancy";
  /** Told in the message. */
  readonly #details: DiscrepancyDetails;

  constructor(details: DiscrepancyDetails) {
    const { endpoint, commands, index, what, expected, actual, others = [] } = details;
    const shown = (value: unknown) => inspect(value, { depth: 6, breakLength: 100, sorted: true });
    super(
      [
        `${endpoint}: ${what} after command ${index + 1}, ${commands[index] ?? "none"}`,
        `  the model says ${shown(expected)}`,
        `  the runtime   ${shown(actual)}`,
        ...others.map((other) => `  ${other.endpoint} answered ${shown(other.answer)}`),
        printScript(commands),
      ].join("\n"),
    );
    this.#details = details;
  }

  get details(): DiscrepancyDetails {
    return this.#details;
  }
}
