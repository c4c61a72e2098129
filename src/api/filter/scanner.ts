/**
 * The scanner of containerd's filter language: cuts a filter into tokens. Which token may follow which is the parser's business.
 *
 * Its quirks are containerd's (filters/scanner.go): a bare value begins only after an operator, so that `a , b` is no filter;
 * and `/` and `|` quote as `"` does, though the parser lets them quote only a regular expression.
 */

export type TokenKind = "end" | "quoted" | "value" | "field" | "separator" | "operator" | "illegal" | "other";

export interface Token {
  readonly kind: TokenKind;
  /** Index of the token's first character in the filter. */
  readonly at: number;
  readonly text: string;
}

const end = "";
const fieldCharacter = /^[A-Za-z0-9_]$/;
/** What Go's unicode.IsSpace holds for white space. */
const space = /^[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]$/;
const graphic = /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u;
const octalDigit = /^[0-7]$/;
const hexDigit = /^[0-9A-Fa-f]$/;

export class Scanner {
  readonly #input: string;
  /** Index of the next character. */
  #next = 0;
  /** True from an operator to the end of its value. */
  #valueExpected = false;
  /** Why a token was illegal; empty while none was. */
  problem = "";

  constructor(input: string) {
    this.#input = input;
  }

  /** Index after the last character read. */
  get position(): number {
    return this.#next;
  }

  /** The next character without reading it, empty at the end. */
  peek(): string {
    const code = this.#input.codePointAt(this.#next);
    return code === undefined ? end : String.fromCodePoint(code);
  }

  scan(): Token {
    while (space.test(this.peek())) this.#advance();
    const at = this.#next;
    const character = this.#advance();
    return { kind: this.#rest(character), at, text: this.#input.slice(at, this.#next) };
  }

  /** Reads what belongs to the token that `character` begins. */
  #rest(character: string): TokenKind {
    if (character === end) return "end";
    if (this.problem !== "") return "illegal";
    if (character === '"' || character === "/" || character === "|")
      return this.#quoted(character) ? "quoted" : "illegal";
    if (character === "," || character === ".") {
      this.#valueExpected = false;
      return "separator";
    }
    if (isOperator(character)) {
      while (isOperator(this.peek())) this.#advance();
      this.#valueExpected = true;
      return "operator";
    }
    if (this.#valueExpected) {
      while (isValue(this.peek())) this.#advance();
      this.#valueExpected = false;
      return "value";
    }
    if (!fieldCharacter.test(character)) return "other";
    while (fieldCharacter.test(this.peek())) this.#advance();
    return "field";
  }

  /** Reads up to the closing quote; false when there is none on this line, or an escape is illegal. */
  #quoted(quote: string): boolean {
    let legal = true;
    for (;;) {
      const character = this.#advance();
      if (character === quote) return legal;
      if (character === end || character === "\n" || this.problem !== "") {
        this.#fail("quoted literal not terminated");
        return false;
      }
      if (character === "\\") legal = this.#escape(quote) && legal;
    }
  }

  #escape(quote: string): boolean {
    const character = this.peek();
    if (character === quote || (character !== end && "abfnrtv\\".includes(character))) {
      this.#advance();
      return true;
    }
    if (octalDigit.test(character)) return this.#digits(octalDigit, 3);
    const count = character === "x" ? 2 : character === "u" ? 4 : character === "U" ? 8 : 0;
    if (count > 0) {
      this.#advance();
      return this.#digits(hexDigit, count);
    }
    this.#fail("illegal escape sequence");
    return false;
  }

  #digits(digit: RegExp, count: number): boolean {
    for (let read = 0; read < count; read++) {
      if (!digit.test(this.peek())) {
        this.#fail("illegal numeric escape sequence");
        return false;
      }
      this.#advance();
    }
    return true;
  }

  #advance(): string {
    const character = this.peek();
    this.#next += character.length;
    if (character === "\ufffd") this.#fail("rune error");
    if (character === "\0") this.#fail("unexpected null");
    return character;
  }

  #fail(problem: string): void {
    if (this.problem === "") this.problem = problem;
  }
}

function isOperator(character: string): boolean {
  return character === "=" || character === "!" || character === "~";
}

function isValue(character: string): boolean {
  return character !== "," && graphic.test(character);
}
