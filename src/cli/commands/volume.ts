import type { Fact } from "../../wire/gen/shiplog/events/v1/log.ts";
import { type Volume, VolumesDefinition } from "../../wire/gen/shiplog/snapshots/v1/volumes.ts";
import { type Command, type Context, ExitStatus, Refusal, UsageError } from "../command.ts";
import {
  bytes,
  Columns,
  decode,
  Fields,
  integer,
  localTime,
  printable,
  shortDigest,
  type Style,
  utcTime,
} from "../render/mod.ts";

type Flags = Readonly<Record<string, string | boolean | undefined>>;

interface Verb {
  /** How many operands it takes: at least, at most. */
  readonly operands: readonly [number, number];
  run(context: Context, flags: Flags, operands: readonly string[]): Promise<void>;
}

/** A history is shown as one table, so it is held in memory; longer ones are for `events`. */
const factsMax = 100_000;

export const volume: Command = {
  name: "volume",
  summary: "keep files apart from containers: volumes, their pictures and their history",
  help: `Usage: shiplog volume create NAME [--exclusive] [--from PICTURE] [--snapshotter SNAPSHOTTER]
       shiplog volume ls
       shiplog volume snapshot NAME [PICTURE]
       shiplog volume rollback NAME PICTURE
       shiplog volume history NAME
       shiplog volume rm NAME...

A volume outlives the containers that have it. A container has volume NAME at /path by a label of its record, whoever creates it:

  ctr run --label shiplog.volume/NAME=/path IMAGE CONTAINER
  ctr run --label shiplog.volume/NAME=/path:ro IMAGE CONTAINER

create     makes one, empty or with what a picture holds.
ls         lists those of the namespace, and where each is mounted.
snapshot   takes a picture of it; containers that have it stand still for that moment. Without a name it is NAME@TIME.
rollback   makes its content that of a picture. What was written since is gone; it must be mounted nowhere.
history    who had it, where, from when to when, and what became of it in between; also after it was removed.
rm         removes it with its content. Its pictures stay: shiplog snapshot ls

      --exclusive          in one container at a time
      --from PICTURE       what it begins with
      --snapshotter NAME   what keeps it (overlayfs)
`,
  flags: { exclusive: { type: "boolean" }, from: { type: "string" }, snapshotter: { type: "string" } },

  async run(context, flags, [name, ...operands]) {
    const verb = name === undefined ? undefined : verbs.get(name);
    if (verb === undefined)
      throw new UsageError(
        `volume takes one of ${[...verbs.keys()].join(", ")}${name === undefined ? "" : `, not "${name}"`}`,
      );
    const [least, most] = verb.operands;
    if (operands.length < least || operands.length > most)
      throw new UsageError(`volume ${name} takes other operands; see --help`);
    await verb.run(context, flags, operands);
    return ExitStatus.fine;
  },
};

const volumes = ({ service, namespace }: Context) => service(VolumesDefinition, { namespace });
const text = (value: string | boolean | undefined) => (typeof value === "string" ? value : "");

const create: Verb = {
  operands: [1, 1],
  async run(context, flags, [name]) {
    const request = {
      name: name!,
      snapshotter: text(flags.snapshotter),
      exclusive: flags.exclusive === true,
      from: text(flags.from),
    };
    const { volume: made } = await volumes(context).create(request);
    await context.out.lines(context.json ? JSON.stringify(made && volumeValue(made)) : printable(name!));
  },
};

const list: Verb = {
  operands: [0, 0],
  async run(context) {
    const found: Volume[] = [];
    for await (const response of volumes(context).list({})) found.push(...response.volumes);
    if (context.json) return context.out.lines(...found.map((each) => JSON.stringify(volumeValue(each))));
    const { style } = context.out;
    const heading = ["NAME", "SHARING", "SNAPSHOTTER", "BEGAN WITH", "MOUNTED"].map((column) => style("dim", column));
    const rows = found.map(({ name, exclusive, snapshotter, parent, mounts }) => [
      style("bold", printable(name)),
      exclusive ? "exclusive" : "shared",
      printable(snapshotter),
      printable(parent === "" ? "nothing" : shortDigest(parent)),
      printable(
        mounts.map(({ container, path, readOnly }) => `${container}:${path}${readOnly ? ":ro" : ""}`).join(", "),
      ),
    ]);
    await context.out.lines(...(found.length === 0 ? [] : Columns.table([heading, ...rows])));
  },
};

const volumeValue = ({ createdUnixNano, mounts, ...rest }: Volume) => ({
  ...rest,
  created: utcTime(createdUnixNano),
  mounts: mounts.map(({ sinceUnixNano, ...mount }) => ({ ...mount, since: utcTime(sinceUnixNano) })),
});

const snapshot: Verb = {
  operands: [1, 2],
  async run(context, _flags, [name, given]) {
    const picture = given ?? `${name}@${new Date().toISOString()}`;
    const taken = await volumes(context).snapshot({ name: name!, picture });
    const { paused, pausedNanoseconds, sharedBytes, copiedBytes } = taken;
    if (context.json)
      return context.out.lines(
        JSON.stringify({
          volume: name,
          picture,
          paused,
          pausedNanoseconds: integer(pausedNanoseconds),
          sharedBytes: integer(sharedBytes),
          copiedBytes: integer(copiedBytes),
        }),
      );
    const ms = (Number(pausedNanoseconds) / 1e6).toFixed(1);
    const stood = paused.length === 0 ? "nothing ran" : `${paused.join(", ")} paused for ${ms} ms`;
    const shared = sharedBytes > 0n ? `${bytes(Number(sharedBytes))} shared, ` : "";
    await context.out.lines(printable(`${picture}: ${stood}; ${shared}${bytes(Number(copiedBytes))} copied`));
  },
};

const rollBack: Verb = {
  operands: [2, 2],
  async run(context, _flags, [name, picture]) {
    await volumes(context).rollBack({ name: name!, picture: picture! });
    await context.out.lines(
      context.json ? JSON.stringify({ volume: name, picture }) : printable(`${name}: as in ${picture}`),
    );
  },
};

const remove: Verb = {
  operands: [1, Number.POSITIVE_INFINITY],
  async run(context, _flags, names) {
    for (const name of names) await volumes(context).remove({ name });
  },
};

/** Something that a volume's history tells: a stretch of time in which a container had it, or an event. */
interface Entry {
  readonly what: string;
  readonly from: bigint;
  /** Undefined for an event, and for what goes on. */
  until: bigint | undefined;
  readonly by: string;
  readonly container: string | undefined;
}

const history: Verb = {
  operands: [1, 1],
  async run(context, _flags, [name]) {
    const { log, namespace, out, json } = context;
    const stream = `volume/${name}`;
    const facts: Fact[] = [];
    const { oldestPosition } = await log.head({});
    for await (const response of log.read({ namespace, stream, fromPosition: oldestPosition })) {
      facts.push(...response.facts);
      if (facts.length > factsMax) throw new Refusal(`${stream} has more than ${factsMax} facts; use: shiplog events`);
    }
    if (facts.length === 0) throw new Refusal(`the log knows nothing of ${stream} in namespace ${namespace}`);
    const entries = entriesOf(facts);
    await out.lines(...(json ? entries.map(entryJson) : table(entries, out.style)));
  },
};

function entriesOf(facts: readonly Fact[]): Entry[] {
  const entries: Entry[] = [];
  for (const { type, data, timeUnixNano: from, principal } of facts) {
    const fields = new Fields(decode(data));
    const container = fields.text("container") || undefined;
    if (type === "VolumeUnmounted") {
      const open = entries.findLast((entry) => entry.container === container && entry.until === undefined);
      if (open !== undefined) open.until = from;
      continue;
    }
    const by = `uid ${principal?.uid ?? "?"} pid ${principal?.pid ?? "?"}`;
    entries.push({ what: wording(type, fields), from, until: undefined, by, container });
  }
  return entries;
}

function wording(type: string, fields: Fields): string {
  const picture = fields.text("picture");
  switch (type) {
    case "VolumeCreated":
      return `created, ${fields.text("sharing")}, on ${fields.text("snapshotter")}`;
    case "VolumeMounted":
      return `in ${fields.text("container")} at ${fields.text("path")}${fields.flag("readOnly") ? ", to be read" : ""}`;
    case "VolumePictured":
      return `picture ${picture}`;
    case "VolumeRolledBack":
      return `back to ${picture}`;
    case "VolumeRemoved":
      return "removed";
    default:
      return type;
  }
}

function table(entries: readonly Entry[], style: Style): string[] {
  const heading = ["FROM", "UNTIL", "BY", ""].map((column) => style("dim", column));
  const rows = entries.map(({ what, from, until, by, container }) => [
    localTime(from),
    until !== undefined ? localTime(until) : container !== undefined ? "now" : "",
    by,
    printable(what),
  ]);
  return Columns.table([heading, ...rows]);
}

const entryJson = ({ what, from, until, by, container }: Entry): string =>
  JSON.stringify({ what, from: utcTime(from), until: until && utcTime(until), by, container });

const verbs: ReadonlyMap<string, Verb> = new Map([
  ["create", create],
  ["ls", list],
  ["snapshot", snapshot],
  ["rollback", rollBack],
  ["history", history],
  ["rm", remove],
]);
