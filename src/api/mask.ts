/**
 * Field masks as containerd reads them: `labels` replaces a map, `labels.<rest>` one entry of it, and everything after the first dot
 * is the entry's key, dots and slashes included. Paths take effect in their order. Owns no field: a service names its own.
 * Source: metadata/containers.go, metadata/images.go.
 */
import { ShiplogError } from "../error.ts";
import type { Labels } from "../events/catalogue.ts";
import { quoted } from "../machines/mod.ts";
import { storedLabels } from "./labels.ts";

/** What an update may touch: fields as a whole, and maps also by entry. */
export interface Updatable {
  readonly fields: readonly string[];
  readonly maps: readonly string[];
}

/**
 * The paths of an update: those of its mask, or all `fields` when the mask is missing or empty.
 * @throws ShiplogError InvalidArgument for a path that may not be updated; `object` ends the message, for example `image "x"`.
 */
export function maskPaths(
  mask: readonly string[] | undefined,
  updatable: Updatable,
  object: string,
): readonly string[] {
  if (mask === undefined || mask.length === 0) return updatable.fields;
  for (const path of mask) {
    if (updatable.fields.includes(path) || updatable.maps.some((map) => path.startsWith(`${map}.`))) continue;
    throw new ShiplogError("InvalidArgument", `cannot update ${quoted(path)} field on ${object}`, {
      reason: "FieldNotUpdatable",
    });
  }
  return mask;
}

/**
 * What becomes of the map `field`, or undefined when no path touches it. An entry that the mask names and the request lacks becomes
 * `missing`.
 */
export function maskedMap<Value>(
  paths: readonly string[],
  field: string,
  current: Readonly<Record<string, Value>>,
  requested: Readonly<Record<string, Value>>,
  missing: Value,
): Readonly<Record<string, Value>> | undefined {
  let result: Readonly<Record<string, Value>> | undefined;
  for (const path of paths) {
    if (path === field) result = requested;
    if (!path.startsWith(`${field}.`)) continue;
    const key = path.slice(field.length + 1);
    result = { ...(result ?? current), [key]: Object.hasOwn(requested, key) ? requested[key]! : missing };
  }
  return result;
}

/** As maskedMap, for labels: an entry that is missing or empty goes away. */
export function maskedLabels(
  paths: readonly string[],
  field: string,
  current: Labels,
  requested: Labels,
): Labels | undefined {
  const labels = maskedMap(paths, field, current, requested, "");
  return labels === undefined ? undefined : storedLabels(labels);
}
