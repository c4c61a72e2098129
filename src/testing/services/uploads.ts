/** What opening an upload and writing to it lead to, before any commit. Sources: metadata/content.go, content/local/store.go. */
import { nameOf, pieceBytes } from "../content-names.ts";
import { holds, ingestResource } from "../holding.ts";
import { moves, type Prediction } from "../prediction.ts";
import type { Upload, World } from "../world.ts";

interface Opening {
  readonly ref: string;
  readonly lease: string;
  /** Announced; 0 and empty where nothing is. */
  readonly total: number;
  readonly expected: string;
}

/** An upload as its one writer has it. */
export interface Open {
  readonly prediction: Prediction;
  /** What the runtime takes the upload to have. */
  readonly letters: string;
  /** The bytes are those of content that nothing links any more, and there is no file yet. */
  readonly shared: boolean;
  /** What the file holds behind what is written anew. */
  readonly tail: string;
}

/** The lease, where one is named, is there. */
export function open(world: World, { ref, lease, total, expected }: Opening): Open {
  const { dialect } = world;
  const shared = expected !== "" && world.lingers(expected);
  const command = { type: "StartIngest", ref, total, expected, leased: lease !== "" } as const;
  const moved = moves(world, [{ kind: "ingest", key: ref, command }, ...holds(lease, ingestResource(ref))]);
  const row = world.row("ingest", ref);
  const before = world.upload(ref);
  const startsOver = total > 0 && before !== undefined && before.total > 0 && before.total !== total;
  const held = dialect.uploadHoldsExpected
    ? startsOver
      ? expected
      : (row?.expected ?? expected)
    : shared
      ? expected
      : ((row && before?.expected) ?? "");
  const letters = before?.letters;
  const upload = {
    letters: shared ? letters : startsOver && !dialect.restartKeepsTail ? "" : (letters ?? ""),
    total: before === undefined || startsOver || (letters === undefined && before.total === 0) ? total : before.total,
    expected: held,
    unleased: lease === "" || (row !== undefined && before?.unleased === true),
  };
  const prediction = { ...moved, world: moved.world.withUpload(ref, upload) };
  if (shared) return { prediction, letters: textOf(expected), shared, tail: "" };
  return startsOver
    ? { prediction, letters: "", shared, tail: dialect.restartKeepsTail ? (letters ?? "") : "" }
    : { prediction, letters: letters ?? "", shared, tail: "" };
}

/** What one message of a writer has led to. */
export interface Written {
  /** What the runtime takes the upload to have now. */
  readonly letters: string;
  /** How many letters its answer says that there are: those that the message has led to. */
  readonly told: number;
  readonly world: World;
  /** Nothing was written: the bytes are still those of other content. */
  readonly shared: boolean;
}

/** What is there after a write at `offset`; undefined where that is not where the upload ends. */
export function written(opened: Open, ref: string, offset: number, text: string): Written | undefined {
  const { prediction, letters, shared, tail } = opened;
  if (offset > 0 && offset !== letters.length) return undefined;
  const upload = prediction.world.upload(ref)!;
  const startsOver = offset === 0 && letters.length > 0;
  const told = (startsOver ? 0 : letters.length) + text.length;
  if (shared && text === "" && !startsOver) return { letters, told, world: prediction.world, shared };
  if (shared) return { told, ...copied(prediction.world, ref, upload, startsOver ? "" : letters, text) };
  const after = (startsOver ? "" : letters) + text;
  // What is begun anew leaves the file as it was.
  const file = after + tail.slice(after.length);
  return { letters: after, told, world: prediction.world.withUpload(ref, { ...upload, letters: file }), shared };
}

/**
 * The bytes that were another's are copied before more is written: into a new file, or behind what an earlier writer has left in it, unless
 * that has announced another total.
 */
function copied(world: World, ref: string, upload: Upload, copies: string, text: string): Omit<Written, "told"> {
  const announced = copies.length * pieceBytes;
  const isOther = announced > 0 && upload.total > 0 && upload.total !== announced;
  const isNew = upload.letters === undefined || isOther;
  const letters = (isNew ? "" : upload.letters!) + copies + text;
  const file = letters + (isOther ? upload.letters!.slice(letters.length) : "");
  const total = isNew ? announced : upload.total;
  return { letters, world: world.withUpload(ref, { ...upload, letters: file, total }), shared: false };
}

export const textOf = (name: string): string => (name === nameOf("") ? "" : name.slice(1));
