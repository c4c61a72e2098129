/** Where the bytes of one stream go when the shim carries them itself. Owns the one rule of back-pressure that all of them keep. */

/** The most that a sink is given at once. Measured to be the best size for reading and formatting alike. */
export const chunkBytesMax = 64 * 1024;

export interface Sink {
  /**
   * Takes the chunk, always all of it; the buffer is the caller's again on return. False asks to be given no more until `onWritable`
   * calls: what a sink holds is bounded by one chunk more than its own bound.
   */
  write(chunk: Buffer): boolean;
  /** Who is told that more is taken; one at a time. */
  onWritable(listener: () => void): void;
  /** No more comes. Resolves when everything taken is where it goes, or was given up; never rejects. */
  end(): Promise<void>;
  /** Opens what it writes to anew by its name. @throws errors of open(2) */
  reopen(): Promise<void>;
  /** Gives up what is not where it goes yet. `end` then resolves. Calling it again does nothing. */
  close(): void;
}

/** For output that nobody wants but that somebody has to read: a terminal's. */
export const discard: Sink = {
  write: () => true,
  onWritable() {},
  async end() {},
  async reopen() {},
  close() {},
};
