/**
 * A look at a daemon's heap from outside: Node opens its inspector when the process gets SIGUSR1, and through that a collection can be asked for.
 * The daemon has to be started with `inspectable` in its environment.
 */
import type { TestDaemon } from "../harness/daemons.ts";
import { eventually, within } from "../harness/eventually.ts";

/** Any free port of the loopback. */
export const inspectable = { NODE_OPTIONS: "--inspect-port=127.0.0.1:0" };

const ANSWER_MS_MAX = 10_000;

export class Inspector {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #last = 0;

  static async open(daemon: TestDaemon): Promise<Inspector> {
    process.kill(daemon.pid, "SIGUSR1");
    const url = await eventually(
      "the inspector listens",
      async () => /ws:\/\/127\.0\.0\.1\S+/.exec(await daemon.log())?.[0],
    );
    const socket = new WebSocket(url);
    const opened = Promise.withResolvers<void>();
    socket.addEventListener("open", () => opened.resolve());
    socket.addEventListener("error", () => opened.reject(new Error(`cannot connect to ${url}`)));
    await opened.promise;
    return new Inspector(socket);
  }

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      const { id, result } = JSON.parse(String(data)) as { id?: number; result?: unknown };
      if (id !== undefined) this.#waiting.get(id)?.resolve(result);
    });
  }

  /** Bytes of live objects, and of what they hold outside of the heap. */
  async liveBytes(): Promise<number> {
    await this.#ask("HeapProfiler.collectGarbage");
    const { result } = (await this.#ask("Runtime.evaluate", {
      expression: "JSON.stringify(process.memoryUsage())",
    })) as {
      result: { value: string };
    };
    const { heapUsed, external } = JSON.parse(result.value) as NodeJS.MemoryUsage;
    return heapUsed + external;
  }

  close(): void {
    this.#socket.close();
  }

  async #ask(method: string, params: object = {}): Promise<unknown> {
    const id = ++this.#last;
    const answer = Promise.withResolvers<unknown>();
    this.#waiting.set(id, answer);
    this.#socket.send(JSON.stringify({ id, method, params }));
    return within(method, ANSWER_MS_MAX, answer.promise).finally(() => this.#waiting.delete(id));
  }
}
