/** Which volumes a container's labels ask for. Owns the label's form: `shiplog.volume/NAME` = `/path`, or `/path:ro`. */
import { ErrorClass, ShiplogError } from "../error.ts";
import type { Labels } from "../events/catalogue.ts";

export const volumeLabel = "shiplog.volume/";

export interface VolumeWish {
  readonly volume: string;
  /** In the container. Absolute. */
  readonly path: string;
  readonly readOnly: boolean;
}

/** In the order of their paths, so that one mounted within another is mounted after it. @throws ShiplogError InvalidArgument */
export function wishesOf(labels: Labels): VolumeWish[] {
  return Object.entries(labels)
    .filter(([label]) => label.startsWith(volumeLabel))
    .map(([label, value]) => wishOf(label, value))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

function wishOf(label: string, value: string): VolumeWish {
  const [, path = "", access] = /^(\/[^:]*)(?::(ro|rw))?$/.exec(value) ?? [];
  if (path === "")
    throw new ShiplogError(
      ErrorClass.InvalidArgument,
      `label ${label}: "${value}" is no absolute path, with ":ro" or ":rw" behind it or without`,
      { reason: "VolumeLabelInvalid" },
    );
  return { volume: label.slice(volumeLabel.length), path, readOnly: access === "ro" };
}
