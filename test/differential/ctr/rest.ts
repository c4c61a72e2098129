/** Leases, namespaces, what the daemon tells of itself, and the tools of ctr that come with it. */
import { plain, type Script, type ScriptStep, type Setting, shell } from "./step.ts";

export const rest: Script = { name: "rest", steps };

/** A lease without an id gets a random one. */
const anyLease = "sed -E 's/[0-9]+-\\S+/LEASE/'";

function steps({ image, directory, namespace }: Setting): readonly ScriptStep[] {
  const versions = {
    reason: "each names its own version",
    lines: /^ *(Version|Revision|UUID|Go version):|^WARNING: (version|revision) mismatch/,
  };
  return [
    shell(
      `ctr leases create | ${anyLease}; ctr leases ls -q | ${anyLease}; ctr leases rm $(ctr leases ls -q) | ${anyLease}`,
    ),
    plain("leases", "create", "--id", "first", "a=b", "containerd.io/gc.flat=yes"),
    plain("leases", "create", "--id", "second", "--expires", "1h", "c=d"),
    plain("leases", "create", "--id", "third", "--expires", "0"),
    plain("leases", "create", "--id", "fourth", "--expires", "nonsense"),
    shell("ctr leases ls | sed -E 's/[0-9]{4}-[0-9-]+T[0-9:.]+Z/TIME/'"),
    plain("leases", "ls", "--quiet"),
    plain("leases", "ls", "id==first"),
    plain("leases", "ls", "-q", "labels.c==d"),
    plain("leases", "ls", "i(d"),
    plain("leases", "delete", "--sync", "first"),
    plain("leases", "delete", "nothing", "second"),
    plain("leases", "delete"),
    plain("leases", "ls"),

    plain("namespaces", "create"),
    plain("namespaces", "create", `${namespace}-b`, "a=b", "c=d"),
    shell(`ctr namespaces ls | grep ${namespace}`),
    plain("namespaces", "label", `${namespace}-b`, "a="),
    plain("namespaces", "label", `${namespace}-b`),
    plain("namespaces", "label", `${namespace}-new`, "a=b"),
    shell(`ctr namespaces ls --quiet | grep ${namespace}`),
    plain("namespaces", "remove", "--cgroup", `${namespace}-b`),
    plain("namespaces", "remove", `${namespace}-new`, `${namespace}-b`),
    plain("namespaces", "remove"),
    shell(`ctr namespaces ls -q | grep ${namespace}`),

    plain("--timeout", "5s", "--connect-timeout", "5s", "--debug", "images", "ls"),
    plain("--address", "/nowhere.sock", "--connect-timeout", "100ms", "images", "ls"),
    plain("--namespace", "bad name", "images", "ls"),
    plain("--version"),
    plain("nonsense"),
    { command: ["version"], differs: versions },
    { ...shell("ctr plugins ls --quiet id==overlayfs type==io.containerd.content.v1"), unordered: true },
    { ...plain("plugins", "ls", "type==io.containerd.content.v1", "id==overlayfs"), unordered: true },
    plain("plugins", "ls", "--detailed", "id==overlayfs"),
    plain("plugins", "ls", "id==nothing"),
    plain("plugins", "ls", "i(d"),
    { ...shell("ctr info | grep -v '\"\\(uuid\\|pid\\|pidns\\)\"'"), newer: true },
    { command: ["deprecations", "list"], newer: true },
    { command: ["deprecations", "list", "--format", "json"], newer: true },

    plain("oci", "spec"),
    { command: ["oci", "spec", "--platform", "windows/amd64"], newer: true },
    plain("images", "import", image.archive),
    // Always with a path: the standard one is outside of what is the test's own.
    shell("mkdir installed"),
    plain("install", "--path", `${directory}/installed`, image.name),
    plain("install", "--path", `${directory}/installed`, image.name),
    plain("install", "--path", `${directory}/installed`, "--libs", "--replace", image.name),
    shell("ls installed/bin"),
    plain("install", "--path", `${directory}/installed`, "example.test/nothing:1"),
    plain("images", "rm", "--sync", image.name),
  ];
}
