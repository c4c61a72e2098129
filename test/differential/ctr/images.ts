/** Images in and out of archives and a registry, converted, mounted, and named. */
import { plain, type Script, type ScriptStep, type Setting, shell } from "./step.ts";
import { progress } from "./content.ts";

export const images: Script = { name: "images", steps };

function steps({ image, directory, registry, fifos }: Setting): readonly ScriptStep[] {
  const { name, archive } = image;
  const at = (file: string) => `${directory}/${file}`;
  const remote = `${registry}/test/busybox:1`;
  const pull = (...args: readonly string[]): ScriptStep => ({
    command: ["images", "pull", "--plain-http", ...args],
    differs: progress,
  });
  const push = (...args: readonly string[]): ScriptStep => ({
    command: ["images", "push", "--plain-http", ...args],
    differs: progress,
  });
  return [
    plain("images", "import", "--no-unpack", "--digests", "--base-name", "example.test/based", archive),
    plain("images", "ls", "-q"),
    plain("images", "import", "--no-unpack", "--digests", "--skip-digest-for-named", archive),
    plain("images", "import", "--no-unpack", "--index-name", "example.test/index:1", archive),
    plain("images", "ls"),
    plain("images", "check"),
    plain("snapshots", "ls"),
    plain("images", "import", "--all-platforms", "--compress-blobs", "--snapshotter", "native", archive),
    plain("images", "import", "--platform", "linux/amd64", archive),
    plain("images", "import", "--platform", "linux/arm64", archive),
    plain("images", "import", "/nowhere.tar"),
    shell(`ctr images import - <${archive}`),
    { command: ["images", "import", "--discard-unpacked-layers", archive], newer: true },
    plain("images", "check", "--quiet"),
    plain("images", "check", "--snapshotter", "native"),
    plain("images", "check", "--snapshotter", "nothing", `name==${name}`),
    { command: ["images", "usage", name], newer: true },
    { command: ["images", "usage", "--snapshotter", "native", name], newer: true },

    plain("images", "export", at("plain.tar"), name),
    shell("tar tf plain.tar && sha256sum plain.tar"),
    plain("images", "export", "--skip-manifest-json", "--skip-non-distributable", at("less.tar"), name),
    shell("tar tf less.tar && sha256sum less.tar"),
    plain("images", "export", "--all-platforms", at("all.tar"), name, "example.test/index:1"),
    shell("tar tf all.tar && sha256sum all.tar"),
    plain("images", "export", "--platform", "linux/arm64", at("other.tar"), name),
    plain("images", "export", at("none.tar"), "example.test/nothing:1"),
    shell(`ctr images export - ${name} | sha256sum`),

    plain("images", "convert", "--uncompress", "--oci", name, "example.test/plain:1"),
    plain("images", "convert", "--platform", "linux/amd64", name, "example.test/same:1"),
    plain("images", "convert", "--all-platforms", "example.test/index:1", "example.test/every:1"),
    plain("images", "convert", "--platform", "linux/arm64", name, "example.test/none:1"),
    plain("images", "convert", "example.test/nothing:1", "example.test/none:1"),
    plain("images", "ls"),
    plain("run", "--rm", "--fifo-dir", fifos, "example.test/plain:1", "converted", "cat", "/etc/motd"),

    shell("mkdir looked written"),
    plain("images", "mount", "--platform", "linux/amd64", "--label", "mounted=yes", name, at("looked")),
    shell("cat looked/etc/motd; ls looked; touch looked/x"),
    plain("images", "mount", name, at("looked")),
    plain("images", "mount", "--rw", "--snapshotter", "native", name, at("written")),
    shell("touch written/x && ls written"),
    plain("images", "mount", "example.test/nothing:1", at("looked")),
    plain("snapshots", "ls"),
    plain("snapshots", "info", at("looked")),
    plain("images", "unmount", "--label", "without=effect", at("looked")),
    plain("images", "unmount", "--rm", "--snapshotter", "native", at("written")),
    plain("snapshots", "--snapshotter", "native", "ls"),
    plain("snapshots", "rm", at("looked")),
    plain("images", "unmount", "--rm", at("looked")),

    plain("images", "label", name, "a=b", "c=d"),
    plain("images", "label", "--replace-all", name, "e=f"),
    plain("images", "label", name, "e="),
    plain("images", "label", "example.test/nothing:1", "a=b"),
    plain("images", "tag", name, "example.test/tag:1", "example.test/tag:2"),
    plain("images", "tag", "--force", "example.test/plain:1", "example.test/tag:2"),
    plain("images", "tag", "example.test/nothing:1", "example.test/tag:3"),
    plain("images", "ls", "name~=example.test/tag"),
    plain("images", "ls", "target.mediatype~=index"),
    plain("images", "ls", "na(me"),

    push("--skip-verify", remote, name),
    push("--platform", "linux/amd64", `${registry}/test/platform:1`, "example.test/index:1"),
    push("--manifest", image.manifest, "--manifest-type", "application/vnd.oci.image.manifest.v1+json", remote),
    push("--max-concurrent-uploaded-layers", "1", "--allow-non-distributable-blobs", remote, "example.test/tag:1"),
    push(remote, "example.test/nothing:1"),
    plain("images", "rm", "example.test/tag:1", "example.test/nothing:1", "example.test/tag:2"),
    shell("ctr images rm --sync $(ctr images ls -q)"),
    plain("content", "ls", "-q"),
    plain("snapshots", "ls"),
    pull("--label", "from=registry", "--print-chainid", remote),
    plain("images", "ls"),
    plain("content", "ls"),
    plain("snapshots", "ls"),
    plain("leases", "ls"),
    pull("--all-metadata", "--max-concurrent-downloads", "1", "--snapshotter", "native", remote),
    pull("--all-platforms", "--skip-verify", remote),
    pull("--platform", "linux/amd64", remote),
    pull("--platform", "linux/arm64", remote),
    pull(`${registry}/test/nothing:1`),
    plain("run", "--rm", "--fifo-dir", fifos, remote, "pulled", "cat", "/etc/motd"),
    { command: ["images", "prune"], newer: true },
    plain("images", "ls", "-q"),
    { command: ["images", "prune", "--all"], newer: true },
    plain("images", "rm", "--sync", remote),
    plain("content", "ls", "-q"),
  ];
}
