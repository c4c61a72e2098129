/**
 * Carries bytes from a descriptor to a sink for as long as there are any. Owns the source's descriptor, and the one buffer through which
 * all relays of the process read. Reads only while the sink takes: the process at the other end is held up, nothing here grows.
 */
import { closeDescriptor, type DescriptorPoll, notNow, openPoll, PollEvent, readNow } from "../../platform/mod.ts";
import { chunkBytesMax, type Sink } from "./sink.ts";

/** A sink gives the buffer back before it returns, so one is enough for all. */
const chunk = Buffer.allocUnsafeSlow(chunkBytesMax);

/** How often one relay reads before the others have their turn. */
const readsPerTurnMax = 4;

/** Reads of what is left at the end of its time: a whole pipe, and no more of one that somebody goes on filling. */
const lastReadsMax = 8;

export class Relay {
  readonly #source: number;
  readonly #sink: Sink;
  readonly #onSourceEnd: () => void;
  readonly #poll: DescriptorPoll;
  readonly #ended = Promise.withResolvers<void>();
  #isFinishing = false;
  #isHeld = false;
  #isDone = false;

  /** Begins at once. The source must not block. `onSourceEnd` is called once, when its descriptor is closed. */
  constructor(source: number, sink: Sink, onSourceEnd: () => void = () => {}) {
    this.#source = source;
    this.#sink = sink;
    this.#onSourceEnd = onSourceEnd;
    this.#poll = openPoll(source, (_events, error) => {
      if (error === undefined) this.#carry();
      else this.#finish();
    });
    sink.onWritable(() => {
      if (this.#isDone || !this.#isHeld) return;
      this.#isHeld = false;
      this.#poll.start(PollEvent.Readable);
      if (this.#isFinishing) this.#carry();
    });
    this.#poll.start(PollEvent.Readable);
  }

  /** Resolves when the source has ended and the sink is done with all that came, or after `close`. Never rejects. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Reads without being called to: a FIFO that was opened when all its writers had gone never says that this is its end. */
  look(): void {
    this.#carry();
  }

  /** Carries what is there already and takes that for the end. */
  finish(): void {
    this.#isFinishing = true;
    this.#carry();
  }

  /** Carries what is there already, whether the sink has room for it or not, and takes that for the end: the sink's bound is what is lost then. */
  abandon(): void {
    this.#isHeld = false;
    for (let reads = 0; reads < lastReadsMax && !this.#isDone; reads++) {
      const bytes = this.#read();
      if (bytes <= 0) break;
      this.#sink.write(chunk.subarray(0, bytes));
    }
    this.#finish();
  }

  /** Gives up both sides and what is between them. Calling it again does nothing. */
  close(): void {
    this.#finish();
    this.#sink.close();
  }

  #carry(): void {
    for (let reads = 0; reads < readsPerTurnMax; reads++) {
      // A sink that breaks may end the relay while it is given a chunk.
      if (this.#isDone || this.#isHeld) return;
      const bytes = this.#read();
      if (bytes === notNow && !this.#isFinishing) return;
      if (bytes <= 0) {
        this.#finish();
        return;
      }
      if (!this.#sink.write(chunk.subarray(0, bytes))) {
        this.#isHeld = true;
        this.#poll.stop();
      }
    }
    // Once nothing more comes, no poll would call for what is left.
    if (this.#isFinishing) setImmediate(() => this.#carry());
  }

  #read(): number {
    try {
      return readNow(this.#source, chunk);
    } catch {
      // EIO is how the master of a terminal says that nobody has the other side open any more.
      return 0;
    }
  }

  #finish(): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#poll.close();
    closeDescriptor(this.#source);
    this.#onSourceEnd();
    this.#sink.end().then(this.#ended.resolve);
  }
}
