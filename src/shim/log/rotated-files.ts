/**
 * The older files of a log: `<path>.1` is the newest of them, each may be compressed and is then called `<path>.N.gz`, as Docker names them
 * (moby, daemon/logger/loggerutils/logfile.go). Owns their numbers; it must never remove a file whose lines are not elsewhere, but for those
 * beyond the count that is asked for.
 */
import { readdir, rename, rm } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { errorCode } from "../../platform/mod.ts";
import { type Compressor, compressor as processCompressor } from "./compressor.ts";

interface RotatedFile {
  number: number;
  compressed: boolean;
  /** It was one too many. */
  removed: boolean;
}

export class RotatedFiles {
  readonly #path: string;
  readonly #countMax: number;
  readonly #compressor: Compressor | undefined;
  /** Newest first. */
  #files: RotatedFile[] = [];
  /** Renaming and the end of a compression take turns. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(path: string, countMax: number, compressor: Compressor | undefined) {
    this.#path = path;
    this.#countMax = countMax;
    this.#compressor = compressor;
  }

  /** Finds what is there, and takes up compressions that an earlier process did not finish. */
  static async find(path: string, countMax: number, compress: boolean): Promise<RotatedFiles> {
    const files = new RotatedFiles(path, countMax, compress ? processCompressor : undefined);
    await rm(files.#unfinishedPath, { force: true });
    const found = new Map<number, RotatedFile>();
    for (const name of await readdir(dirname(path))) {
      if (!name.startsWith(`${basename(path)}.`)) continue;
      const [, number, suffix] = /^([1-9]\d{0,8})(\.gz)?$/.exec(name.slice(basename(path).length + 1)) ?? [];
      if (number === undefined) continue;
      const other = found.get(Number(number));
      // Both: the compressed one may not have reached the disk, the other is whole.
      if (other !== undefined) await rm(`${path}.${number}.gz`);
      found.set(Number(number), {
        number: Number(number),
        compressed: other === undefined && suffix !== undefined,
        removed: false,
      });
    }
    files.#files = [...found.values()].sort((a, b) => a.number - b.number);
    files.#offerForCompression();
    return files;
  }

  /** Moves the file at the log's path to `.1` and its elders up by one, and puts `successor` at the path. */
  async rotate(successor: string): Promise<void> {
    await this.#exclusively(async () => {
      await this.#removeSurplus();
      for (const file of this.#files.toReversed()) {
        const from = this.#pathOf(file);
        await renameIfThere(from, this.#pathOf({ ...file, number: file.number + 1 }));
        file.number++;
      }
      if (this.#countMax === 0) {
        await rename(successor, this.#path);
        return;
      }
      const file = { number: 1, compressed: false, removed: false };
      await renameIfThere(this.#path, this.#pathOf(file));
      try {
        await rename(successor, this.#path);
      } catch (error) {
        await renameIfThere(this.#pathOf(file), this.#path);
        throw error;
      }
      this.#files.unshift(file);
    });
    this.#offerForCompression();
  }

  /** Waits for the compressions of this log, at most so long; what is then left stays as it is until the log is opened again. */
  async settleCompression(milliseconds: number): Promise<void> {
    await this.#compressor?.settle(this, milliseconds);
  }

  /** Those that would have too high a number. */
  async #removeSurplus(): Promise<void> {
    for (
      let last = this.#files.at(-1);
      last !== undefined && last.number >= this.#countMax;
      last = this.#files.at(-1)
    ) {
      await rm(this.#pathOf(last), { force: true });
      last.removed = true;
      this.#files.pop();
    }
  }

  #offerForCompression(): void {
    for (const file of this.#files.toReversed()) {
      if (file.compressed) continue;
      this.#compressor?.offer(this, file, {
        unfinishedPath: this.#unfinishedPath,
        wanted: () => !file.removed,
        // Where it is now: it moves up with each rotation, and what is open stays open.
        openSource: (open) => this.#exclusively(() => open(this.#pathOf(file))),
        finish: () => this.#exclusively(() => this.#replaceByCompressed(file)),
      });
    }
  }

  async #replaceByCompressed(file: RotatedFile): Promise<void> {
    if (file.removed) return rm(this.#unfinishedPath, { force: true });
    const plain = this.#pathOf(file);
    await rename(this.#unfinishedPath, `${plain}.gz`);
    file.compressed = true;
    await rm(plain, { force: true });
  }

  get #unfinishedPath(): string {
    return `${this.#path}.gz.tmp`;
  }

  #pathOf(file: RotatedFile): string {
    return `${this.#path}.${file.number}${file.compressed ? ".gz" : ""}`;
  }

  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {});
    return result;
  }
}

/** Somebody else may have moved the file away: then there is nothing to move. */
async function renameIfThere(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
  }
}
