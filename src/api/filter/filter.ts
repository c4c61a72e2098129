/**
 * Filters of list and subscribe calls: containerd's language, from text to a predicate. Owns what a selector matches. What fields an
 * object has is its service's business, told by an adaptor; an unknown field is absent, never an error.
 */
import type { Labels } from "../../events/catalogue.ts";
import { ShiplogError } from "../../error.ts";
import { expression } from "./expression.ts";
import { parseSelectors, type Selector } from "./parser.ts";

/** The value of the field that the path names, undefined when the object has none. The path has one part at least. */
export type Adaptor = (fieldpath: readonly string[]) => string | undefined;

/** Whether an object, seen through its adaptor, is wanted. */
export type Filter = (adaptor: Adaptor) => boolean;

/**
 * The filter of a request: any of `texts` must hold, each of which is selectors that must all hold. No texts, or an empty one, want
 * everything.
 * @throws ShiplogError with containerd's text when one is no filter: InvalidArgument, but Unknown where the service is one that loses it.
 */
export function parseFilter(texts: readonly string[], refusal: Refusal = "plain"): Filter {
  if (texts.length === 0) return everything;
  const alternatives = texts.map((text) => selectorsOf(text, refusal).map(predicate));
  if (alternatives.some((selectors) => selectors.length === 0)) return everything;
  return (adaptor) => alternatives.some((selectors) => selectors.every((selector) => selector(adaptor)));
}

const everything: Filter = () => true;

/**
 * How a service passes on that a filter is malformed. containerd's differ: some say the class twice (metadata/containers.go), some do not
 * map the error, which leaves Unknown (metadata/snapshot.go).
 */
export type Refusal = "plain" | "twice" | "unmapped";

function selectorsOf(text: string, refusal: Refusal): readonly Selector[] {
  try {
    return parseSelectors(text);
  } catch (error) {
    if (refusal === "plain" || !(error instanceof ShiplogError)) throw error;
    const { reason, message } = error;
    if (refusal === "unmapped") throw new ShiplogError("Unknown", message, { reason, cause: error });
    throw new ShiplogError("InvalidArgument", `${message}: invalid argument`, { reason, cause: error });
  }
}

function predicate({ fieldpath, operator, value }: Selector): Filter {
  switch (operator) {
    case "present":
      return (adaptor) => adaptor(fieldpath) !== undefined;
    case "==":
      return (adaptor) => adaptor(fieldpath) === value;
    case "!=":
      return (adaptor) => (adaptor(fieldpath) ?? "") !== value;
    case "~=": {
      const pattern = expression(value);
      return pattern === undefined ? () => false : (adaptor) => pattern.test(adaptor(fieldpath) ?? "");
    }
    default:
      return operator satisfies never;
  }
}

/** The label that the rest of a field path names: its parts joined by dots, so that `labels.a.b` finds the key `a.b`. */
export function labelField(labels: Labels, rest: readonly string[]): string | undefined {
  const key = rest.join(".");
  return Object.hasOwn(labels, key) ? labels[key] : undefined;
}
