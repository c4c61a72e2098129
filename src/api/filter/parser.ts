/**
 * The parser of containerd's filter language: from a filter's text to its selectors. It decides what is a filter, never what one
 * matches. Source: filters/parser.go.
 *
 *     selectors := selector ("," selector)*
 *     selector  := fieldpath [operator value]
 *     fieldpath := field ("." field)*
 *     field     := quoted | [A-Za-z0-9_]+
 *     operator  := "==" | "!=" | "~="
 *     value     := quoted | a run of visible characters without a comma
 */
import { ShiplogError } from "../../error.ts";
import { quoted } from "../../machines/mod.ts";
import { Scanner, type Token } from "./scanner.ts";
import { unquote } from "./unquote.ts";

export type Operator = "present" | "==" | "!=" | "~=";

export interface Selector {
  readonly fieldpath: readonly string[];
  readonly operator: Operator;
  /** Empty for `present`. */
  readonly value: string;
}

/**
 * The selectors of one filter, all of which must hold; none for the empty filter.
 * @throws ShiplogError InvalidArgument with containerd's text.
 */
export function parseSelectors(input: string): readonly Selector[] {
  return input === "" ? [] : new Parser(input).selectors();
}

class Parser {
  readonly #input: string;
  readonly #scanner: Scanner;

  constructor(input: string) {
    this.#input = input;
    this.#scanner = new Scanner(input);
  }

  selectors(): Selector[] {
    const selectors = [this.#selector()];
    for (;;) {
      const next = this.#scanner.peek();
      if (next === "") return selectors;
      if (next !== ",")
        throw this.#error(this.#scanner.position, `unexpected input: ${next === "\0" ? "\ufffd" : next}`);
      this.#scanner.scan();
      selectors.push(this.#selector());
    }
  }

  #selector(): Selector {
    const fieldpath = this.#fieldpath();
    const next = this.#scanner.peek();
    if (next === "," || next === "") return { fieldpath, operator: "present", value: "" };
    const operator = this.#operator();
    return { fieldpath, operator, value: this.#value(operator === "~=") };
  }

  #fieldpath(): string[] {
    const fields = [this.#field()];
    while (this.#scanner.peek() === ".") {
      this.#scanner.scan();
      fields.push(this.#field());
    }
    return fields;
  }

  #field(): string {
    const token = this.#scanner.scan();
    if (token.kind === "field") return token.text;
    if (token.kind === "quoted") return this.#unquoted(token, false);
    throw this.#unexpected(token, "expected field or quoted");
  }

  #operator(): Operator {
    const token = this.#scanner.scan();
    if (token.kind !== "operator") throw this.#unexpected(token, 'expected an operator ("=="|"!="|"~=")');
    if (token.text === "==" || token.text === "!=" || token.text === "~=") return token.text;
    throw this.#error(token.at, `unsupported operator ${quoted(token.text)}`);
  }

  #value(regularExpression: boolean): string {
    const token = this.#scanner.scan();
    if (token.kind === "value") return token.text;
    if (token.kind === "quoted") return this.#unquoted(token, regularExpression);
    throw this.#unexpected(token, "expected value or quoted");
  }

  #unquoted(token: Token, anyQuote: boolean): string {
    if (!anyQuote && !token.text.startsWith('"')) throw this.#error(token.at, "invalid quote encountered");
    const text = unquote(token.text);
    if (text === undefined) throw this.#error(token.at, "unquoting failed: quote syntax error");
    return text;
  }

  #unexpected(token: Token, expected: string): ShiplogError {
    return this.#error(token.at, token.kind === "illegal" ? this.#scanner.problem : expected);
  }

  #error(at: number, problem: string): ShiplogError {
    const before = this.#input.slice(0, at);
    // containerd points at a byte, also where that is a part of a character only.
    const rest = Buffer.from(this.#input.slice(at));
    const where = rest.length > 0 ? `${before} >|${rest.subarray(0, 1)}|< ${rest.subarray(1)}` : this.#input;
    return new ShiplogError("InvalidArgument", `filters: parse error: [${where}]: ${problem}: invalid argument`, {
      reason: "InvalidFilter",
    });
  }
}
