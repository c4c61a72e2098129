/**
 * Where a shim listens: a socket named after its daemon, its namespace and the group of containers that it serves, so that whoever wants that
 * group's shim finds it (containerd: runtime/v2/shim/util_unix.go, runtime/v2/runc/manager/manager_linux.go).
 *
 * Owns names, and which containers are one group. It touches no file.
 */
import { posix } from "node:path";
import { sha256 } from "../../platform/mod.ts";

/** Where containerd's shims have their sockets too; short, since the path of a socket may have 107 bytes. */
export const socketDirectory = "/run/containerd/s";

/** Which containers share a shim, and with it its end: each has its own, those of one sandbox, or all of a namespace. */
export const Grouping = { Container: "container", Sandbox: "sandbox", Namespace: "namespace" } as const;
export type Grouping = (typeof Grouping)[keyof typeof Grouping];

/** Annotations whose value names a group, the first that is there. */
const groupAnnotations = ["io.containerd.runc.v2.group", "io.kubernetes.cri.sandbox-id"] as const;

/** From the words of SHIPLOG_SHIM_GROUPING; by sandbox, as containerd does it, when nothing is said. @throws Error */
export function groupingOf(word: string | undefined): Grouping {
  if (word === undefined || word === "") return Grouping.Sandbox;
  const grouping = Object.values(Grouping).find((each) => each === word);
  if (grouping === undefined)
    throw new Error(`shim grouping ${JSON.stringify(word)}: not one of ${Object.values(Grouping).join(", ")}`);
  return grouping;
}

/** The name of the group that container `id` with these annotations belongs to; undefined: the namespace is the group. */
export function groupOf(
  grouping: Grouping,
  id: string,
  annotations: Readonly<Record<string, unknown>>,
): string | undefined {
  switch (grouping) {
    case Grouping.Container:
      return id;
    case Grouping.Namespace:
      return undefined;
    case Grouping.Sandbox: {
      const name = groupAnnotations.find((annotation) => Object.hasOwn(annotations, annotation));
      const group = name === undefined ? id : annotations[name];
      return typeof group === "string" ? group : id;
    }
    default:
      return grouping satisfies never;
  }
}

/**
 * The address of a group's shim. For any name of a group that clients use it is containerd's; one with slashes or dots in it, which a client may have
 * made up, is not taken for a path that leads to another namespace.
 */
export function addressOfShim(daemonAddress: string, namespace: string, group: string | undefined): string {
  const owner = posix.join(daemonAddress, namespace);
  const name = sha256(group === undefined ? owner : `${owner}/${group}`);
  return `unix://${socketDirectory}/${name}`;
}
