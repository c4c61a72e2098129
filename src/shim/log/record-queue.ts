/**
 * Formatted records on their way to the file, in blocks that are written as they are. Owns the memory; it must never hold part of a record.
 * An idle log holds no block.
 */

/** Records that are to be written with one call. */
export interface Block {
  readonly buffer: Buffer;
  /** Bytes before `start` are written, those up to `end` are not. */
  start: number;
  end: number;
}

/** Measured: half a MiB lets formatting and writing overlap; less stalls on each other, more gains nothing. */
export const blockBytes = 512 * 1024;
/** Blocks kept for the next flood of any log, so that the kernel need not zero new memory for each. */
const spareBlocksMax = 4;
const spareBlocks: Buffer[] = [];
const recordEnd = 0x0a;

export class RecordQueue {
  readonly #blocks: Block[] = [];
  #bytes = 0;

  /** Bytes waiting; the block that was taken last is no longer among them. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Adds whole records. What would make more than `bytesMax` bytes wait is left out, the newest first, but a first record is taken whatever its
   * size. Returns the bytes that were taken.
   */
  append(records: Buffer, bytesMax: number): number {
    const taken =
      this.#bytes + records.length <= bytesMax ? records.length : this.#fitting(records, bytesMax - this.#bytes);
    if (taken === 0) return 0;
    const block = this.#blockFor(taken);
    block.end += records.copy(block.buffer, block.end, 0, taken);
    this.#bytes += taken;
    return taken;
  }

  /** The oldest block, now the caller's until it is recycled. */
  take(): Block | undefined {
    const block = this.#blocks.shift();
    if (block !== undefined) this.#bytes -= block.end - block.start;
    return block;
  }

  #fitting(records: Buffer, room: number): number {
    const fitting = room <= 0 ? 0 : records.lastIndexOf(recordEnd, room - 1) + 1;
    return fitting === 0 && this.#bytes === 0 ? records.indexOf(recordEnd) + 1 : fitting;
  }

  #blockFor(bytes: number): Block {
    const last = this.#blocks.at(-1);
    if (last !== undefined && last.buffer.length - last.end >= bytes) return last;
    const buffer =
      bytes > blockBytes ? Buffer.allocUnsafeSlow(bytes) : (spareBlocks.pop() ?? Buffer.allocUnsafeSlow(blockBytes));
    const block = { buffer, start: 0, end: 0 };
    this.#blocks.push(block);
    return block;
  }
}

/** Gives a block's memory back. */
export function recycle(block: Block): void {
  if (block.buffer.length === blockBytes && spareBlocks.length < spareBlocksMax) spareBlocks.push(block.buffer);
}

export function countRecords(records: Buffer): number {
  let count = 0;
  for (let end = records.indexOf(recordEnd); end !== -1; end = records.indexOf(recordEnd, end + 1)) count++;
  return count;
}
