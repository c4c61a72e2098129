/**
 * What runc leaves on the machine for a namespace: the cgroup that clients' specs put their containers under, and its folder of states.
 * runc itself removes only what is a container's own.
 */
import { readdir, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";

const CGROUPS = "/sys/fs/cgroup";
const RUNC_STATES = "/run/containerd/runc";

/** What is there of the namespace's containers: states, and cgroups below the namespace's own. */
export async function runcTraces(namespace: string): Promise<readonly string[]> {
  const below = async (directory: string) => {
    const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(directory, name));
  };
  const hierarchies = await readdir(CGROUPS);
  const groups = await Promise.all(hierarchies.map((hierarchy) => below(join(CGROUPS, hierarchy, namespace))));
  return [...(await below(join(RUNC_STATES, namespace))), ...groups.flat()];
}

/** Removes both, to be called once nothing of the namespace runs any more. */
export async function removeRuncTraces(namespace: string): Promise<void> {
  const hierarchies = await readdir(CGROUPS);
  for (const hierarchy of ["", ...hierarchies]) await removeCgroup(join(CGROUPS, hierarchy, namespace));
  await rm(join(RUNC_STATES, namespace), { recursive: true, force: true });
}

async function removeCgroup(path: string): Promise<void> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) if (entry.isDirectory()) await removeCgroup(join(path, entry.name));
  if (entries.length > 0) await rmdir(path).catch(() => {});
}
