/** The few names that commands use, so that they meet. */
import fc from "fast-check";
import { letters, nameOf } from "./content-names.ts";

/** Of containers, images, leases and uploads. The first of each is the commonest, so that most commands find what they name. */
export const id = fc.constantFrom("x", "x", "y");
/** Of snapshots, in work or committed: they share one space of names. */
export const key = fc.constantFrom("k0", "k0", "k1", "k1", "k2");
export const parent = fc.constantFrom("", "", "k0", "k1", "k2");
export const snapshotter = fc.constantFrom("native", "native", "native", "overlayfs");
/** What a call is made under; mostly nothing. */
export const lease = fc.constantFrom("", "", "", "", "x", "x", "y");
/** What is uploaded at once. */
export const text = fc.constantFrom(...letters, "a", "ab");
export const digest = fc.constantFrom("a", "a", "b", "ab", "").map(nameOf);
export const labelKeys = ["p", "containerd.io/gc.root", "containerd.io/gc.ref.content.0"] as const;
/** In letters. */
export const offset = fc.constantFrom(0, 0, 0, 1, 2);
export const sync = fc.boolean();
