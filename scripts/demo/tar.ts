/** Writes a tar in the ustar format, as much of it as an image layer needs: directories, files and symbolic links, owned by root. */

export type Entry =
  | { readonly kind: "directory"; readonly path: string }
  | { readonly kind: "file"; readonly path: string; readonly content: Buffer; readonly mode: number }
  | { readonly kind: "link"; readonly path: string; readonly target: string };

const blockBytes = 512;

/** The same entries always give the same bytes: times are those of the epoch. */
export function tar(entries: readonly Entry[]): Buffer {
  const blocks: Buffer[] = [];
  for (const entry of entries) {
    blocks.push(header(entry));
    if (entry.kind === "file") blocks.push(entry.content, Buffer.alloc(-entry.content.length & (blockBytes - 1)));
  }
  return Buffer.concat([...blocks, Buffer.alloc(2 * blockBytes)]);
}

const typeFlags = { directory: "5", file: "0", link: "2" } as const;

function header(entry: Entry): Buffer {
  const block = Buffer.alloc(blockBytes);
  const octal = (value: number, offset: number, length: number) =>
    block.write(`${value.toString(8).padStart(length - 1, "0")}\0`, offset);
  block.write(entry.path, 0, 100);
  octal(entry.kind === "file" ? entry.mode : 0o755, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(entry.kind === "file" ? entry.content.length : 0, 124, 12);
  octal(0, 136, 12);
  block.write(typeFlags[entry.kind], 156);
  if (entry.kind === "link") block.write(entry.target, 157, 100);
  block.write("ustar\x0000", 257);
  // The checksum is the sum of the header's bytes, its own field taken as spaces.
  block.fill(" ", 148, 156);
  octal(
    block.reduce((sum, byte) => sum + byte, 0),
    148,
    7,
  );
  return block;
}
