/** The public face of the shim's program, for those that clear away after one: the shims themselves are processes of their own. */
export { removeUnlessServed } from "./claim.ts";
