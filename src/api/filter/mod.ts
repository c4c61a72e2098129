/**
 * The public face of the filter language.
 */
export { EXPRESSION_LENGTH_MAX } from "./expression.ts";
export { type Adaptor, type Filter, labelField, parseFilter } from "./filter.ts";
