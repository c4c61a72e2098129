import { SnapshotsDefinition as ContainerdSnapshots } from "../../wire/gen/containerd/services/snapshots/v1/snapshots.ts";
import {
  type Change,
  Change_Kind,
  type Snapshot,
  SnapshotsDefinition,
  type TakeResponse,
} from "../../wire/gen/shiplog/snapshots/v1/snapshots.ts";
import { type Command, type Context, ExitStatus, Refusal, UsageError } from "../command.ts";
import { bytes, Columns, counted, integer, localTime, printable, shortDigest, utcTime } from "../render/mod.ts";

type Flags = Readonly<Record<string, string | boolean | undefined>>;

interface Verb {
  /** How many operands it takes: at least, at most. */
  readonly operands: readonly [number, number];
  run(context: Context, flags: Flags, operands: readonly string[]): Promise<void>;
}

export const snapshot: Command = {
  name: "snapshot",
  summary: "take a picture of what a running container has written, and use it",
  help: `Usage: shiplog snapshot take CONTAINER NAME
       shiplog snapshot take --snapshotter SNAPSHOTTER --key KEY NAME
       shiplog snapshot ls [--all]
       shiplog snapshot diff LEFT RIGHT
       shiplog snapshot restore NAME CONTAINER [--like CONTAINER]
       shiplog snapshot export NAME IMAGE
       shiplog snapshot rm NAME...

take      makes a committed snapshot of what the container's root holds at one moment. The container stands still while it is copied, which is
          said, and goes on. The picture is on disk when the command ends. It stays until it is removed.
ls        lists the pictures of the namespace, with --all every snapshot.
diff      names what differs between two snapshots.
restore   makes a container whose root is the picture: like the one that was pictured, as it was then, even if it is gone; or like another one.
          Start it as any other, as with: ctr tasks start CONTAINER
export    makes an image of it: the layers of the container's image, and one more.
rm        removes snapshots on which no other stands.

      --snapshotter NAME   where a name is one of several snapshotters
      --key KEY            of the active snapshot, where it is no container's
      --like CONTAINER     whose record the restored container is to have
      --all                every snapshot, not only pictures
`,
  flags: {
    snapshotter: { type: "string" },
    key: { type: "string" },
    like: { type: "string" },
    all: { type: "boolean" },
  },

  async run(context, flags, [name, ...operands]) {
    const verb = name === undefined ? undefined : verbs.get(name);
    if (verb === undefined)
      throw new UsageError(
        `snapshot takes one of ${[...verbs.keys()].join(", ")}${name === undefined ? "" : `, not "${name}"`}`,
      );
    const [least, most] = verb.operands;
    const wanted = flags.key === undefined ? least : least - 1;
    if (operands.length < wanted || operands.length > most)
      throw new UsageError(`snapshot ${name} takes other operands; see --help`);
    await verb.run(context, flags, operands);
    return ExitStatus.fine;
  },
};

const pictures = ({ service, namespace }: Context) => service(SnapshotsDefinition, { namespace });
const text = (value: string | boolean | undefined) => (typeof value === "string" ? value : "");

const take: Verb = {
  operands: [2, 2],
  async run(context, flags, operands) {
    const key = text(flags.key);
    const [container, name] = key === "" ? operands : ["", operands[0]];
    const request = { container: container!, key, snapshotter: text(flags.snapshotter), name: name! };
    const taken = await pictures(context).take(request);
    await context.out.lines(context.json ? takenJson(taken) : takenLine(taken));
  },
};

function takenLine({ snapshot: made, paused, pausedNanoseconds, sharedBytes, copiedBytes }: TakeResponse): string {
  const stood =
    paused.length === 0 ? "nothing ran" : `${paused.join(", ")} paused for ${milliseconds(pausedNanoseconds)}`;
  const shared = sharedBytes > 0n ? `${bytes(Number(sharedBytes))} shared, ` : "";
  return printable(`${made?.name}: ${stood}; ${shared}${bytes(Number(copiedBytes))} copied`);
}

const milliseconds = (ns: bigint): string => `${(Number(ns) / 1e6).toFixed(1)} ms`;

const takenJson = ({ snapshot: made, paused, pausedNanoseconds, sharedBytes, copiedBytes }: TakeResponse): string =>
  JSON.stringify({
    snapshot: made && snapshotValue(made),
    paused,
    pausedNanoseconds: integer(pausedNanoseconds),
    sharedBytes: integer(sharedBytes),
    copiedBytes: integer(copiedBytes),
  });

const list: Verb = {
  operands: [0, 0],
  async run(context, flags) {
    const found: Snapshot[] = [];
    const request = { snapshotter: text(flags.snapshotter), picturesOnly: flags.all !== true };
    for await (const { snapshots } of pictures(context).list(request)) found.push(...snapshots);
    if (context.json) return context.out.lines(...found.map((each) => JSON.stringify(snapshotValue(each))));
    const { style } = context.out;
    const heading = ["NAME", "KIND", "OF", "AT", "SIZE", "SNAPSHOTTER"].map((column) => style("dim", column));
    const rows = found.map(({ name, kind, picture, createdUnixNano, size, snapshotter }) => [
      style("bold", printable(shortDigest(name))),
      picture === undefined ? kind : "picture",
      printable(picture === undefined ? "" : picture.container || shortDigest(picture.key)),
      localTime(picture?.timeUnixNano ?? createdUnixNano),
      kind === "committed" ? bytes(Number(size)) : "",
      printable(snapshotter),
    ]);
    await context.out.lines(...(found.length === 0 ? [] : Columns.table([heading, ...rows])));
  },
};

const snapshotValue = ({ createdUnixNano, size, inodes, picture, ...rest }: Snapshot) => ({
  ...rest,
  created: utcTime(createdUnixNano),
  size: integer(size),
  inodes: integer(inodes),
  picture: picture && { key: picture.key, container: picture.container, time: utcTime(picture.timeUnixNano) },
});

const signs = { [Change_Kind.ADDED]: "A", [Change_Kind.MODIFIED]: "M", [Change_Kind.DELETED]: "D" } as const;
const words = {
  [Change_Kind.ADDED]: "added",
  [Change_Kind.MODIFIED]: "modified",
  [Change_Kind.DELETED]: "deleted",
} as const;

const diff: Verb = {
  operands: [2, 2],
  async run(context, flags, [left, right]) {
    const request = { snapshotter: text(flags.snapshotter), left: left!, right: right! };
    for await (const { changes } of pictures(context).diff(request))
      await context.out.lines(...changes.map(context.json ? changeJson : changeLine));
  },
};

const directoryType = 0o040000;
const isDirectory = ({ mode }: Change): boolean => (mode & 0o170000) === directoryType;

const changeLine = (change: Change): string =>
  printable(`${signs[change.kind]} ${change.path}${isDirectory(change) ? "/" : ""}`);

const changeJson = ({ kind, path, size, mode }: Change): string =>
  JSON.stringify({ kind: words[kind], path, size: integer(size), mode });

const restore: Verb = {
  operands: [2, 2],
  async run(context, flags, [name, container]) {
    const request = {
      snapshotter: text(flags.snapshotter),
      name: name!,
      container: container!,
      like: text(flags.like),
    };
    const { snapshotter, key } = await pictures(context).restore(request);
    await context.out.lines(
      context.json
        ? JSON.stringify({ container, snapshotter, key })
        : printable(`${container}: on ${name}; start it as any other`),
    );
  },
};

const exportImage: Verb = {
  operands: [2, 2],
  async run(context, flags, [name, image]) {
    const request = { snapshotter: text(flags.snapshotter), name: name!, image: image! };
    const { digest, size, layers, onImage } = await pictures(context).export(request);
    const made = onImage
      ? `${counted(layers, "layer")}, the last of them the snapshot's`
      : "one layer that holds everything";
    await context.out.lines(
      context.json
        ? JSON.stringify({ image, digest, size: integer(size), layers, onImage })
        : printable(`${image}: ${shortDigest(digest)}, ${made}`),
    );
  },
};

const remove: Verb = {
  operands: [1, Number.POSITIVE_INFINITY],
  async run(context, flags, names) {
    const known: Snapshot[] = [];
    for await (const { snapshots } of pictures(context).list({ snapshotter: text(flags.snapshotter) }))
      known.push(...snapshots);
    const service = context.service(ContainerdSnapshots, { namespace: context.namespace });
    for (const name of names) {
      const found = known.filter((each) => each.name === name);
      if (found.length === 0) throw new Refusal(`there is no snapshot ${name} in namespace ${context.namespace}`);
      if (found.length > 1)
        throw new Refusal(`snapshot ${name} is one of several snapshotters: say which by --snapshotter`);
      await service.remove({ snapshotter: found[0]!.snapshotter, key: name });
    }
  },
};

const verbs: ReadonlyMap<string, Verb> = new Map([
  ["take", take],
  ["ls", list],
  ["diff", diff],
  ["restore", restore],
  ["export", exportImage],
  ["rm", remove],
]);
