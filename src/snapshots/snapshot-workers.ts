/**
 * A few worker threads that do the file work of snapshots, and the queue before them. Owns the threads: they start when there is work, and
 * end when there has been none for a while. A job's failure is its caller's; a thread that dies fails its job and is replaced.
 */
import { Worker } from "node:worker_threads";
import type { FromWorker, JobKind, Jobs, ToWorker } from "./jobs.ts";
import { restoreError } from "./layer-errors.ts";

/** How long a thread without work is kept: a pull's next layer comes sooner, and a thread costs some megabytes. */
const idleMsMax = 10_000;
/** Jobs that wait for a thread. Each has a request waiting for it, so this bounds requests too. */
const waitingMax = 4096;

/** What a job may bring besides what it is given. */
export interface JobOptions {
  /** Where an `apply` without a blob gets its bytes. */
  readonly source?: AsyncIterable<Uint8Array>;
  /** Takes the pieces of a `diff` or of `changes`; the next comes when it has resolved. */
  readonly sink?: (bytes: Uint8Array) => Promise<void>;
  /** Ends the job early; what it did until then stays done. */
  readonly signal?: AbortSignal;
}

interface Idle {
  readonly worker: Worker;
  readonly timer: NodeJS.Timeout;
}

export class SnapshotWorkers {
  readonly #workersMax: number;
  readonly #idle: Idle[] = [];
  readonly #waiting: { readonly resolve: (worker: Worker) => void; readonly reject: (thrown: unknown) => void }[] = [];
  readonly #all = new Set<Worker>();
  #closed = false;

  /** @param workersMax how many jobs are done at once */
  constructor(workersMax: number) {
    this.#workersMax = workersMax;
  }

  /** Does a job as soon as a thread is free. @throws what the job throws, the signal's reason, or an Error with code `EAGAIN` when too many wait */
  async run<K extends JobKind>(
    kind: K,
    given: Jobs[K]["given"],
    { source, sink, signal }: JobOptions = {},
  ): Promise<Jobs[K]["answer"]> {
    signal?.throwIfAborted();
    const worker = await this.#take();
    if (signal?.aborted) {
      this.#give(worker);
      throw signal.reason;
    }
    const cancelled = new Int32Array(new SharedArrayBuffer(4));
    const cancel = () => {
      Atomics.store(cancelled, 0, 1);
      // Wakes a worker that waits for a source which will not answer any more.
      worker.postMessage({ message: "sourceFailed" } satisfies ToWorker);
    };
    signal?.addEventListener("abort", cancel);
    try {
      const answer = await this.#perform(worker, { message: "job", kind, given, cancelled } as ToWorker, source, sink);
      return answer as Jobs[K]["answer"];
    } catch (thrown) {
      throw signal?.aborted ? signal.reason : thrown;
    } finally {
      signal?.removeEventListener("abort", cancel);
      this.#give(worker);
    }
  }

  /** Ends all threads; a job under way fails. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { timer } of this.#idle) clearTimeout(timer);
    this.#idle.length = 0;
    for (const { reject } of this.#waiting.splice(0)) reject(closedError());
    await Promise.all([...this.#all].map((worker) => worker.terminate()));
  }

  async #take(): Promise<Worker> {
    if (this.#closed) throw closedError();
    const idle = this.#idle.pop();
    if (idle !== undefined) {
      clearTimeout(idle.timer);
      idle.worker.ref();
      return idle.worker;
    }
    if (this.#all.size < this.#workersMax) return this.#start();
    if (this.#waiting.length >= waitingMax)
      throw Object.assign(new Error(`run snapshot job: ${waitingMax} jobs wait already`), { code: "EAGAIN" });
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  #start(): Worker {
    const worker = new Worker(new URL("./snapshot-worker.ts", import.meta.url), {
      // The worker opens descriptors through libc as well as node:fs, so Node cannot keep count of them.
      trackUnmanagedFds: false,
      execArgv: [],
      name: "snapshots",
    });
    this.#all.add(worker);
    const gone = () => this.#all.delete(worker);
    worker.on("error", gone).on("exit", gone);
    return worker;
  }

  #give(worker: Worker): void {
    // A dead thread is not handed on; whoever waits gets a new one in its place.
    const alive = this.#all.has(worker);
    const next = this.#waiting.shift();
    if (next !== undefined) next.resolve(alive ? worker : this.#start());
    else if (alive) this.#rest(worker);
  }

  #rest(worker: Worker): void {
    worker.unref();
    const timer = setTimeout(() => {
      this.#idle.splice(
        this.#idle.findIndex((idle) => idle.worker === worker),
        1,
      );
      void worker.terminate();
    }, idleMsMax);
    timer.unref();
    this.#idle.push({ worker, timer });
  }

  async #perform(
    worker: Worker,
    job: ToWorker,
    source: AsyncIterable<Uint8Array> | undefined,
    sink: ((bytes: Uint8Array) => Promise<void>) | undefined,
  ): Promise<Jobs[JobKind]["answer"]> {
    const pieces = source?.[Symbol.asyncIterator]();
    let sourceFailure: { thrown: unknown } | undefined;
    const feed = async () => {
      try {
        const piece = await pieces?.next();
        // A copy, since a piece may be a view of a larger buffer that its owner uses again.
        const bytes = piece?.done === false ? new Uint8Array(piece.value) : undefined;
        worker.postMessage({ message: "piece", bytes } satisfies ToWorker, bytes === undefined ? [] : [bytes.buffer]);
      } catch (thrown) {
        sourceFailure = { thrown };
        worker.postMessage({ message: "sourceFailed" } satisfies ToWorker);
      }
    };
    const take = async (bytes: Uint8Array) => {
      try {
        await sink?.(bytes);
        worker.postMessage({ message: "taken" } satisfies ToWorker);
      } catch (thrown) {
        sourceFailure = { thrown };
        worker.postMessage({ message: "sourceFailed" } satisfies ToWorker);
      }
    };
    const { promise, resolve, reject } = Promise.withResolvers<Jobs[JobKind]["answer"]>();
    const heard = (message: FromWorker) => {
      if (message.message === "pull") void feed();
      else if (message.message === "output") void take(message.bytes);
      else if (message.message === "done") resolve(message.answer);
      else reject(sourceFailure === undefined ? restoreError(message.error) : sourceFailure.thrown);
    };
    const died = (code: number) => reject(new Error(`run snapshot job: the worker thread ended with code ${code}`));
    worker.on("message", heard).on("error", reject).on("exit", died);
    worker.postMessage(job);
    try {
      return await promise;
    } finally {
      worker.off("message", heard).off("error", reject).off("exit", died);
      // Not waited for: a source that is stuck would never answer this either.
      pieces?.return?.()?.catch(() => {});
    }
  }
}

function closedError(): Error {
  return new Error("run snapshot job: the workers are closed");
}
