/**
 * The input of a process. Owns the client's FIFO, read by the shim together with a writer of its own, so that clients may leave and come
 * back; once that writer is gone (CloseIO) and no client has the FIFO open, the input ends. A process without a terminal reads an unnamed
 * pipe and not the FIFO itself: opening `/dev/stdin` again would wait without end on a FIFO that has lost its writers.
 */
import { closeDescriptor, makePipe, setBlocking } from "../../platform/mod.ts";
import { changeOwner, openInput, type StreamOwner } from "./client-path.ts";
import { DescriptorSink } from "./descriptor-sink.ts";
import { Relay } from "./relay.ts";

export class Stdin {
  #client: { readonly reader: number } | undefined;
  /** The shim's own writer to the client's FIFO. */
  #holder: number | undefined;
  #relay: Relay | undefined;
  /** What the process reads, ours only until it has it. */
  #handedOver: number | undefined;

  /** Opens the client's side. @throws Error in containerd's words */
  constructor(path: string) {
    if (path === "") return;
    const input = openInput(path);
    if (input.kind === "file") {
      this.#handedOver = input.descriptor;
      return;
    }
    this.#client = { reader: input.reader };
    this.#holder = input.writer;
  }

  /** For the process: the end of a pipe into which the client's input is carried from now on. */
  toPipe(owner: StreamOwner): number | "ignore" {
    if (this.#client !== undefined) {
      const pipe = makePipe();
      this.#handedOver = pipe.reader;
      changeOwner(pipe.reader, owner);
      setBlocking(pipe.writer, false);
      this.#carry(pipe.writer);
    }
    return this.#handedOver ?? "ignore";
  }

  /** Carries the client's input to a terminal; `onEnd` is called when it ends. The descriptor is the input's from now on. */
  toTerminal(master: number, onEnd: () => void): void {
    if (this.#client === undefined) closeDescriptor(master);
    else this.#carry(master)?.ended.then(onEnd);
  }

  /** The process has its end. */
  started(): void {
    if (this.#handedOver !== undefined) closeDescriptor(this.#handedOver);
    this.#handedOver = undefined;
  }

  /** Lets the input end when no client writes any more. Calling it again does nothing. */
  closeHolder(): void {
    if (this.#holder !== undefined) closeDescriptor(this.#holder);
    this.#holder = undefined;
  }

  close(): void {
    this.started();
    this.closeHolder();
    this.#relay?.close();
    if (this.#client !== undefined) closeDescriptor(this.#client.reader);
    this.#client = undefined;
  }

  #carry(descriptor: number): Relay | undefined {
    const source = this.#client?.reader;
    if (source === undefined) return undefined;
    this.#client = undefined;
    // A process that reads no more: its client is told so by EPIPE.
    this.#relay = new Relay(source, new DescriptorSink(descriptor, () => this.close()));
    return this.#relay;
  }
}
