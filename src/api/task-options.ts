/**
 * The options of a task that the daemon reads itself, for runc's runtime alone: where a checkpoint's images are, and whether the task ends
 * with it. All others are the shim's business (services/tasks/local.go, getCheckpointPath and getRestorePath; typeurl, UnmarshalAny).
 */
import { ErrorClass, ShiplogError } from "../error.ts";
import { type Any, runc } from "../wire/mod.ts";

/** What runc's package has a type for; any other type in this place is unknown. */
const known = {
  "containerd.runc.v1.Options": runc.Options,
  "containerd.runc.v1.CheckpointOptions": runc.CheckpointOptions,
  "containerd.runc.v1.ProcessDetails": runc.ProcessDetails,
} as const;

/** Of Checkpoint. `path` is the client's directory for the images, empty where it has named none. */
export function checkpointOptions(
  runtime: string,
  options: Any | undefined,
): { readonly path: string; readonly exit: boolean } {
  if (options === undefined || !isRunc(runtime)) return { path: "", exit: false };
  const url = "containerd.runc.v1.CheckpointOptions";
  const { imagePath, exit } = decoded(url, options, `invalid task checkpoint option for ${runtime}`);
  return { path: imagePath, exit };
}

/** Of Create: the client's directory to restore from, empty where it has named none. */
export function restorePath(runtime: string, options: Any | undefined): string {
  if (options === undefined || !isRunc(runtime)) return "";
  return decoded("containerd.runc.v1.Options", options, `invalid task create option for ${runtime}`).criuImagePath;
}

/** Any version of it. */
const isRunc = (runtime: string): boolean =>
  runtime === "io.containerd.runc" || runtime.startsWith("io.containerd.runc.");

type Known = typeof known;

function decoded<T extends keyof Known>(
  wanted: T,
  { typeUrl, value }: Any,
  otherwise: string,
): ReturnType<Known[T]["decode"]> {
  const url = typeUrl.replace(/^types\.googleapis\.com\//, "");
  if (!Object.hasOwn(known, url)) throw unknown(`type with url ${typeUrl}: not found`);
  if (url !== wanted) throw unknown(otherwise);
  try {
    return known[wanted].decode(value) as ReturnType<Known[T]["decode"]>;
  } catch (cause) {
    throw unknown(`decode ${url}: ${(cause as Error).message}`, cause);
  }
}

/** containerd forgets to give what fails here a class. */
const unknown = (message: string, cause?: unknown) =>
  new ShiplogError(ErrorClass.Unknown, message, {
    reason: "OptionsInvalid",
    ...(cause === undefined ? {} : { cause }),
  });
