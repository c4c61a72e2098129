/**
 * Builds tar archives block by block, so that a test can write what no well-meaning program writes. Text is latin1: one character a byte.
 */

const blockBytes = 512;

/** The fields of one header block; all but the name have defaults. */
export interface Member {
  readonly name: string;
  readonly flag?: string;
  readonly linkName?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  readonly content?: string | Buffer;
  readonly device?: readonly [number, number];
  /** Stated instead of the content's own length. */
  readonly size?: number;
  /** Extended header records that come before it. */
  readonly pax?: readonly (readonly [string, string | Buffer])[];
}

/** A header and its content, padded. */
export function member({ pax, ...fields }: Member): Buffer {
  const content = Buffer.isBuffer(fields.content) ? fields.content : Buffer.from(fields.content ?? "", "latin1");
  const block = Buffer.alloc(blockBytes);
  block.write(fields.name.slice(0, 100), 0, "latin1");
  octal(block, 100, 8, fields.mode ?? 0o644);
  octal(block, 108, 8, fields.uid ?? 0);
  octal(block, 116, 8, fields.gid ?? 0);
  octal(block, 124, 12, fields.size ?? content.length);
  octal(block, 136, 12, fields.mtime ?? 1_600_000_000);
  block.write(fields.flag ?? "0", 156, "latin1");
  block.write((fields.linkName ?? "").slice(0, 100), 157, "latin1");
  block.write("ustar\0" + "00", 257, "latin1");
  octal(block, 329, 8, fields.device?.[0] ?? 0);
  octal(block, 337, 8, fields.device?.[1] ?? 0);
  sum(block);
  const before = pax === undefined ? [] : [member({ name: "PaxHeaders/x", flag: "x", content: paxPayload(pax) })];
  return Buffer.concat([
    ...before,
    block,
    content,
    Buffer.alloc((blockBytes - (content.length % blockBytes)) % blockBytes),
  ]);
}

/** The records of an extended header, each counting its own length. */
export function paxPayload(records: NonNullable<Member["pax"]>): Buffer {
  return Buffer.concat(
    records.map(([key, value]) => {
      const rest = Buffer.concat([
        Buffer.from(` ${key}=`, "latin1"),
        Buffer.isBuffer(value) ? value : Buffer.from(value, "latin1"),
        Buffer.from("\n"),
      ]);
      let length = rest.length + 1;
      while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
      return Buffer.concat([Buffer.from(String(length)), rest]);
    }),
  );
}

/** The checksum of a header block, written where it belongs. */
export function sum(block: Buffer): void {
  block.fill(0x20, 148, 156);
  octal(
    block,
    148,
    7,
    block.reduce((total, byte) => total + byte, 0),
  );
}

function octal(block: Buffer, at: number, length: number, value: number): void {
  block.write(value.toString(8).padStart(length - 1, "0"), at, length, "latin1");
}

/** A whole archive with its end mark. */
export function archive(...members: readonly Member[]): Buffer {
  return Buffer.concat([...members.map(member), Buffer.alloc(2 * blockBytes)]);
}
