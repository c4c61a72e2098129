/**
 * What the steps of a script act on: one daemon with all that listens to it, which has to begin anew whenever the daemon does. Owns the events that
 * are seen over all of the daemon's lives, and every process that reads for a step.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { connect, type Connection, type Definition, type ServiceClient } from "../../../src/cli/client.ts";
import { tasks } from "../../../src/wire/mod.ts";
import { CtrEvents } from "../../harness/ctr.ts";
import type { TestDaemon } from "../../harness/daemons.ts";
import { eventually } from "../../harness/eventually.ts";
import type { Setting } from "./step.ts";

export class Scene {
  readonly daemon: TestDaemon;
  readonly setting: Setting;
  /** What a step leaves for later ones. */
  readonly kept = new Map<string, unknown>();
  readonly #seen: string[] = [];
  readonly #readers = new Map<string, Reader>();
  #connection: Connection;
  #events: CtrEvents;

  private constructor(daemon: TestDaemon, setting: Setting, events: CtrEvents) {
    this.daemon = daemon;
    this.setting = setting;
    this.#connection = connect(daemon.address);
    this.#events = events;
  }

  static async open(daemon: TestDaemon, setting: Setting): Promise<Scene> {
    await daemon.start();
    return new Scene(daemon, setting, await CtrEvents.start(daemon.address));
  }

  /** A client in the script's namespace. */
  service<D extends Definition>(definition: D): ServiceClient<D> {
    return this.#connection.service(definition, { namespace: this.setting.namespace });
  }

  get tasks(): ServiceClient<tasks.TasksDefinition> {
    return this.service(tasks.TasksDefinition);
  }

  /** Resolves when an event that matches has come in the daemon's present life. */
  told(event: RegExp): Promise<void> {
    return this.#events.shows(event);
  }

  /** Everything published before this has been seen; until the daemon is back there is nobody to ask. */
  async endDaemon(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    this.#seen.push(...(await this.#events.end(this.daemon.address)));
    await this.daemon.end(signal);
    this.#connection.close();
  }

  async startDaemon(): Promise<void> {
    await this.daemon.start();
    this.#connection = connect(this.daemon.address);
    this.#events = await CtrEvents.start(this.daemon.address);
  }

  /** A reader comes to this FIFO of the script's directory, or comes back. */
  read(fifo: string): void {
    const reader = this.#readers.get(fifo) ?? new Reader(`${this.setting.directory}/${fifo}`);
    this.#readers.set(fifo, reader);
    reader.come();
  }

  /** The reader leaves without a word, as one that is killed. */
  leave(fifo: string): Promise<void> {
    return this.#readers.get(fifo)!.leave();
  }

  /** What has come out of the FIFO since the last time, up to this text. */
  said(fifo: string, text: string): Promise<string> {
    return this.#readers.get(fifo)!.upTo(text);
  }

  /** Every event. */
  async end(): Promise<readonly string[]> {
    return [...this.#seen, ...(await this.#events.end(this.daemon.address))];
  }

  /** Ends what is the scene's own; to be called whatever has happened. */
  async close(): Promise<void> {
    for (const reader of this.#readers.values()) await reader.leave();
    this.#events.stop();
    this.#connection.close();
  }
}

/** Reads a FIFO in a process of its own, since opening one waits for the other end, and so that it can be killed. */
class Reader {
  readonly #path: string;
  #child: ChildProcess | undefined;
  #text = "";

  constructor(path: string) {
    this.#path = path;
  }

  come(): void {
    const child = spawn("cat", [this.#path], { stdio: ["ignore", "pipe", "inherit"] });
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      this.#text += text;
    });
    this.#child = child;
  }

  async leave(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  }

  async upTo(text: string): Promise<string> {
    await eventually(`${this.#path} says ${text}`, () => this.#text.includes(text) || undefined);
    const end = this.#text.indexOf(text) + text.length;
    const said = this.#text.slice(0, end);
    this.#text = this.#text.slice(end);
    return said;
  }
}
