/**
 * Carrying out what was decided for a container, by the same operations that clients call. Owns the order of the steps, and no decision:
 * before each step that a client would notice it asks whether the container still wants it.
 */
import type { Mount, ProcessIo } from "../events/catalogue.ts";
import { ErrorClass, ShiplogError } from "../error.ts";
import type { Ledger, Origin } from "../ledger.ts";
import type { ContainerState } from "../machines/mod.ts";
import type { TaskManager } from "../tasks/mod.ts";
import { isAbsolute } from "node:path";
import { pathToFileURL } from "node:url";
import { countLabel, logPathLabel, logUriLabel } from "./labels.ts";

/** What an attempt works with. */
export interface Hands {
  readonly ledger: Ledger;
  readonly tasks: Pick<TaskManager, "create" | "start" | "kill" | "wait" | "delete">;
  /** How to mount the container's snapshot; nothing for a container without one. @throws ShiplogError when it has gone */
  readonly rootfsOf: (namespace: string, container: ContainerState) => readonly Mount[] | Promise<readonly Mount[]>;
}

/** How long a task that was killed may take to end. */
const killedMsMax = 10_000;

const SIGKILL = 9;

/**
 * Replaces the container's task by a new one that runs, having counted the attempt. Gives up without an error when `isWanted` says no.
 * @throws what any of the steps throws; a task that was created and could not be started is deleted
 */
export async function startAgain(
  { ledger, tasks, rootfsOf }: Hands,
  origin: Origin,
  id: string,
  count: number,
  isWanted: () => boolean,
): Promise<void> {
  const { namespace } = origin;
  const container = () => ledger.view.containers.get(namespace, id)!;
  if (!isWanted()) return;
  const { io, mountLabel } = readContainer(container());
  // Counted first, as containerd does: an attempt that ends the daemon is one too.
  await ledger.transact(origin, () => {
    if (count <= 0 || !isWanted()) return [];
    const labels = { ...container().labels, [countLabel]: String(count) };
    return [{ kind: "container", key: id, command: { type: "UpdateContainer", id, labels } }];
  });
  if (!isWanted()) return;
  if (ledger.view.tasks.get(namespace, id) !== undefined) await unlessGone(tasks.delete(origin, id));
  if (!isWanted()) return;
  const rootfs = (await rootfsOf(namespace, container())).map((mount) => labelled(mount, mountLabel));
  if (!isWanted()) return;
  await tasks.create(origin, id, { rootfs, io, options: null, runtimePath: "", checkpoint: "" });
  try {
    // A stop that was asked for while there was no task to kill.
    if (isWanted()) await tasks.start(origin, id, "");
    else await tasks.delete(origin, id);
  } catch (error) {
    await tasks.delete(origin, id).catch(() => {});
    throw error;
  }
}

/** Kills every process of the task and deletes it. @throws what the steps throw, but for a task that has ended or gone meanwhile */
export async function stopTask({ tasks }: Hands, origin: Origin, id: string): Promise<void> {
  await unlessGone(tasks.kill(origin, id, { execId: "", signal: SIGKILL, all: true }));
  await unlessGone(tasks.wait({ namespace: origin.namespace, id }, "", AbortSignal.timeout(killedMsMax)));
  await unlessGone(tasks.delete(origin, id));
}

async function unlessGone(operation: Promise<unknown>): Promise<void> {
  try {
    await operation;
  } catch (error) {
    if (!(error instanceof ShiplogError) || error.class !== ErrorClass.NotFound) throw error;
  }
}

interface Wanted {
  readonly io: ProcessIo;
  /** SELinux's, for the mounts; empty for none. */
  readonly mountLabel: string;
}

/** What the record says of how to create its task. @throws when its spec is no JSON, or its log's path is not absolute */
function readContainer({ labels, spec }: ContainerState): Wanted {
  const { process, linux } = JSON.parse(Buffer.from(spec?.value ?? "{}").toString("utf8")) as {
    readonly process?: { readonly terminal?: unknown };
    readonly linux?: { readonly mountLabel?: unknown };
  };
  const log = labels[logUriLabel] ?? fileUri(labels[logPathLabel]);
  const terminal = log !== "" && process?.terminal === true;
  const mountLabel = typeof linux?.mountLabel === "string" ? linux.mountLabel : "";
  return { io: { stdin: "", stdout: log, stderr: log, terminal }, mountLabel };
}

function fileUri(path: string | undefined): string {
  if (path === undefined) return "";
  if (isAbsolute(path)) return pathToFileURL(path).href;
  throw new ShiplogError(ErrorClass.InvalidArgument, `${logPathLabel}: ${JSON.stringify(path)} must be absolute`);
}

function labelled(mount: Mount, label: string): Mount {
  return label === "" ? mount : { ...mount, options: [...mount.options, `context=${JSON.stringify(label)}`] };
}
