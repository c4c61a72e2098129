/** runc removes a container's cgroup but not the parent that a client's spec names; `ctr` names one after the namespace. */
import { readdir, rmdir } from "node:fs/promises";
import { join } from "node:path";

/** Removes the empty cgroup `name` from every hierarchy. */
export async function removeCgroups(name: string): Promise<void> {
  const hierarchies = await readdir("/sys/fs/cgroup");
  const paths = [
    join("/sys/fs/cgroup", name),
    ...hierarchies.map((hierarchy) => join("/sys/fs/cgroup", hierarchy, name)),
  ];
  await Promise.all(paths.map((path) => rmdir(path).catch(() => {})));
}
