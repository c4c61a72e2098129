/** Snapshots made by hand, mounted, written to, compared and unpacked, on each snapshotter. */
import { plain, type Script, type ScriptStep, type Setting, shell } from "./step.ts";

export const snapshots: Script = { name: "snapshots", steps };

function steps({ image, directory }: Setting): readonly ScriptStep[] {
  const at = (name: string) => `${directory}/${name}`;
  const each = (...args: readonly string[]) =>
    ["overlayfs", "native"].map((snapshotter) => plain("snapshots", "--snapshotter", snapshotter, ...args));
  const mounted = (key: string, change: string): ScriptStep => {
    const mounts = `$(ctr snapshots --snapshotter $s mounts $PWD/root-$s ${key})`;
    return shell(`for s in overlayfs native; do eval ${mounts} && ${change} && umount root-$s; done`);
  };
  // Whiteouts have the time of the diff on containerd and none on shiplog, so that the same tree is the same archive.
  const archived = (line: string): ScriptStep =>
    shell(`set -o pipefail; ${line} | tar tv | awk '{ print $1, $2, $3, $6 }'`);
  return [
    ...each("prepare", "draft"),
    ...each("prepare", "--target", at("root"), "told"),
    ...each("prepare", "--mounts", "json"),
    ...each("prepare"),
    ...each("ls"),
    shell("mkdir root-overlayfs root-native"),
    mounted("draft", "mkdir root-$s/etc && echo one >root-$s/etc/one"),
    ...each("commit", "base", "draft"),
    ...each("commit", "base", "nothing"),
    ...each("commit", "base"),
    ...each("prepare", "--mounts", "upper", "base"),
    mounted("upper", "echo two >root-$s/etc/two && rm root-$s/etc/one"),
    ...each("view", "look", "base"),
    ...each("view", "--target", at("root"), "told-look", "base"),
    ...each("view", "--mounts", "json-look", "base"),
    ...each("view", "look"),
    ...each("mounts", at("root"), "nothing"),
    ...each("mounts", at("root")),
    ...each("tree"),
    ...each("usage"),
    ...each("usage", "upper", "base"),
    ...each("usage", "-b", "upper", "base", "nothing"),
    ...each("info", "upper"),
    ...each("info", "nothing"),
    ...each("info"),
    ...each("label", "upper", "a=b", "c="),
    ...each("label", "nothing", "a=b"),
    archived("ctr snapshots diff --media-type application/vnd.oci.image.layer.v1.tar base"),
    archived("ctr snapshots diff --media-type application/vnd.oci.image.layer.v1.tar upper"),
    archived("ctr snapshots --snapshotter native diff --media-type application/vnd.oci.image.layer.v1.tar base upper"),
    archived("ctr snapshots diff --keep --ref kept --label note=kept upper | gunzip"),
    // The archives' digests and sizes tell of the times in them.
    shell(
      "ctr content ls labels.note==kept | sed -E 's/^sha256:[0-9a-f]+\\s+[0-9.]+k?B/KEPT/; s/uncompressed=[^,]+/uncompressed=ANOTHER/' | sort",
    ),
    ...each("diff", "nothing"),
    ...each("diff"),
    ...each("rm", "base"),
    ...each("rm", "upper", "told", "nothing", "json"),
    ...each("ls"),
    plain("images", "import", "--no-unpack", image.archive),
    plain("snapshots", "unpack", image.manifest),
    plain("snapshots", "unpack", "--snapshotter", "native", image.manifest),
    plain("snapshots", "unpack", `sha256:${"0".repeat(64)}`),
    plain("snapshots", "tree"),
    plain("snapshots", "--snapshotter", "native", "tree"),
    plain("snapshots", "ls"),
    plain("snapshots", "--snapshotter", "nothing", "prepare", "x"),
    plain("images", "rm", "--sync", image.name),
    ...each("ls"),
  ];
}
