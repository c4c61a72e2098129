/**
 * The mounters by the type of what they mount. Owns the choice; what is registered for a type comes before the kernel's own idea of it.
 */
import { realpathSync } from "node:fs";
import { join } from "node:path";
import { mountAll, type MountDescription, withTemporaryMount } from "../platform/mod.ts";
import { kernelMounter, kernelTypes } from "./kernel-mounter.ts";
import type { Mounter } from "./mounter.ts";

/** No mounter mounts this type: neither is one registered, nor does the kernel have it. */
export class TypeUnknown extends Error {
  override readonly name = "TypeUnknown";
  readonly code = "ENODEV";
}

export class Mounters {
  readonly #byType = new Map<string, Mounter>();

  /** @throws Error when the type has one */
  register(type: string, mounter: Mounter): this {
    if (this.#byType.has(type)) throw new Error(`register a mounter: type ${type} has one`);
    this.#byType.set(type, mounter);
    return this;
  }

  /** Whether one is registered for the type, so that only the daemon can mount it: shims know the kernel's types alone. */
  isRegistered(type: string): boolean {
    return this.#byType.has(type);
  }

  get hasRegistered(): boolean {
    return this.#byType.size > 0;
  }

  /** The mounter of a type. @throws TypeUnknown */
  of({ type, options }: Pick<MountDescription, "type" | "options">): Mounter {
    const registered = this.#byType.get(type);
    if (registered !== undefined) return registered;
    // A bind has no type that means anything.
    if (options.includes("bind") || options.includes("rbind") || kernelTypes().has(type)) return kernelMounter;
    const known = [...this.#byType.keys(), ...kernelTypes()].sort().join(", ");
    throw new TypeUnknown(`no mounter for type '${type}'; there are those for ${known}`);
  }

  /** Mounts one description on a directory, or within it where it says so. */
  async mount(description: MountDescription, target: string): Promise<void> {
    await this.of(description).mount(description, placeOf(description, target));
  }

  /** Mounts all of a snapshot's mounts in order; when one fails those before it are undone. */
  async mountAll(descriptions: readonly MountDescription[], target: string): Promise<void> {
    await mountAll(descriptions, target, undefined, (description, place) => this.mount(description, place));
  }

  /** Mounts on a new directory below `temporary` for as long as `use` runs. */
  async during<T>(
    descriptions: readonly MountDescription[],
    temporary: string,
    use: (root: string) => Promise<T>,
  ): Promise<T> {
    return withTemporaryMount(descriptions, temporary, use, undefined, (description, place) =>
      this.mount(description, place),
    );
  }
}

/** A link on the way must not lead out of the place that the description is for. @throws Error (EXDEV) */
function placeOf({ target }: MountDescription, root: string): string {
  if (!target) return root;
  const [whole, place] = [realpathSync(root), realpathSync(join(root, join("/", target)))];
  if (place === whole || place.startsWith(`${whole}/`)) return place;
  throw Object.assign(new Error(`mount on '${target}': it leads out of '${root}'`), { code: "EXDEV" });
}
