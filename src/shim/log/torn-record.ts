/**
 * The end of a file that somebody was killed while writing. A torn record is cut, so that every line that a reader finds is a record.
 */
import type { FileHandle } from "node:fs/promises";

const stepBytes = 64 * 1024;
const recordEnd = 0x0a;

/**
 * Cuts what follows the last "\n"; returns its bytes. More than `recordBytesMax` cannot be a torn record of ours: that is not cut but ended.
 */
export async function cutTornRecord(file: FileHandle, recordBytesMax: number): Promise<number> {
  const { size } = await file.stat();
  const step = Buffer.allocUnsafe(Math.min(stepBytes, size));
  const lowest = Math.max(0, size - recordBytesMax - 1);
  let end = 0;
  for (let to = size; to > lowest && end === 0; ) {
    const from = Math.max(0, to - step.length);
    const { bytesRead } = await file.read(step, 0, to - from, from);
    end = from + step.lastIndexOf(recordEnd, bytesRead - 1) + 1;
    if (end === from) end = 0;
    to = from;
  }
  if (end === size) return 0;
  if (end === 0 && size > recordBytesMax) {
    await file.appendFile("\n");
    return 0;
  }
  await file.truncate(end);
  return size - end;
}
