/**
 * A container's life under a client that gives up nothing: whatever fails because something was killed, it looks at what is true and goes on from
 * there. On the way it holds each row against the kernel.
 *
 * The programs tell by files what they really did: ID.runs has a line per start of the program, ID.end is there once it has come to its own end.
 */
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { TaskStatus } from "../../src/wire/mod.ts";
import { eventually, within } from "../harness/eventually.ts";
import { execSpec } from "../harness/spec.ts";
import { containerProcesses, runsIn } from "./processes.ts";
import type { Random } from "./random.ts";
import type { Stage } from "./stage.ts";

/** How long a row and the kernel may differ while shims are replaced and the daemon starts again. */
const AGREE_MS_MAX = 30_000;
/** Longer than any call's own deadline on a busy machine: what takes longer hangs. */
const CALL_MS_MAX = 60_000;
const AGAIN_MS = 30;
/** How long an exit is waited for before the row is looked at again: a pause whose reply was lost may have worked. */
const WAIT_MS_MAX = 2_000;
const patience = () => ({ signal: AbortSignal.timeout(WAIT_MS_MAX) });
/** Calls of one life, failed ones too. */
const STEPS_MAX = 2_000;
export const LINES = 2_000;

const SIGTERM = 15;
const SIGKILL = 9;
const KILLED = 128 + SIGKILL;

/** What the program does before it ends with its code: nothing for a while, print, or wait to be told to end. */
export const deeds = ["sleeps", "prints", "waits"] as const;
export type Deed = (typeof deeds)[number];

export interface Exec {
  readonly id: string;
  readonly code: number;
  /** Its start was asked for. */
  asked: boolean;
}

export class Life {
  readonly id: string;
  readonly deed: Deed;
  readonly code: number;
  readonly execs: Exec[] = [];
  /** What failed, by message. */
  readonly failures: string[] = [];
  /** Calls that were answered, whatever by. */
  steps = 0;
  /** A SIGKILL was asked for. */
  killed = false;
  /** Deleted, with its record. */
  isOver = false;
  /** Its deletion was asked for before it had been started. */
  neverStarted = false;
  /** Stays until it is told to end, whatever befalls shims and daemon. */
  readonly stays: boolean;
  readonly #stage: Stage;
  readonly #random: Random;
  readonly #sandbox: string | undefined;
  #recorded = false;
  #seen = false;
  #deleting = false;
  #mayEnd: boolean;

  constructor(
    stage: Stage,
    random: Random,
    given: { readonly id: string; readonly deed: Deed; readonly stays: boolean; readonly sandbox: string | undefined },
  ) {
    this.#stage = stage;
    this.#random = random;
    this.#sandbox = given.sandbox;
    this.id = given.id;
    this.deed = given.deed;
    this.stays = given.stays;
    this.#mayEnd = !given.stays;
    this.code = 1 + random.below(120);
  }

  /** Where what it prints goes. */
  get log(): string {
    return this.#stage.path(`${this.id}.log`);
  }

  /** Lets one that stays come to its end. */
  release(): void {
    this.#mayEnd = true;
  }

  /** Lives from here to the end: deleted, with its record. */
  async live(): Promise<void> {
    while (this.steps < STEPS_MAX) {
      const status = await this.#agreed();
      if (status === undefined && this.#deleting) {
        await this.#forget();
        this.isOver = true;
        return;
      }
      assert.ok(status !== undefined || !this.#seen, `${this.id} was created and is not lost sight of`);
      if (status !== undefined) this.#seen = true;
      await this.#try(() => this.#next(status));
      this.steps++;
    }
    assert.fail(`${this.id} does not come to its end; its last failures: ${this.failures.slice(-5).join("; ")}`);
  }

  /** The codes that its end can have had. */
  async codes(): Promise<readonly number[]> {
    if (!this.killed) return [this.code];
    return (await this.#stage.has(`${this.id}.end`)) ? [this.code, KILLED] : [KILLED];
  }

  /** How often its program, or that of an exec, was begun. */
  async runs(execId?: string): Promise<number> {
    const name = execId === undefined ? `${this.id}.runs` : `${this.id}.${execId}.runs`;
    return ((await this.#stage.read(name)) ?? "").split("\n").filter(Boolean).length;
  }

  async #next(status: TaskStatus | undefined): Promise<unknown> {
    const { tasks } = this.#stage;
    const containerId = this.id;
    switch (status) {
      case undefined:
        return this.#create();
      case TaskStatus.CREATED:
        if (this.neverStarted || (!this.stays && this.#random.chance(0.1))) {
          this.neverStarted = true;
          this.#deleting = true;
          return tasks.delete({ containerId });
        }
        return tasks.start({ containerId });
      case TaskStatus.RUNNING:
        return this.#run();
      case TaskStatus.PAUSED:
        return tasks.resume({ containerId });
      case TaskStatus.STOPPED:
        this.#deleting = true;
        return tasks.delete({ containerId });
      default:
        // In between: it is asked again.
        return delay(AGAIN_MS);
    }
  }

  async #create(): Promise<unknown> {
    if (!this.#recorded) {
      const group = this.#sandbox === undefined ? {} : { "io.kubernetes.cri.sandbox-id": this.#sandbox };
      await this.#stage.addContainer(this.id, this.#script(), group).catch((error: Error) => {
        if (!/already exists/.test(error.message)) throw error;
      });
      this.#recorded = true;
    }
    // What a shim carries may be with it when it is killed: only what the program writes to the file itself is sure.
    const stdout = this.deed === "prints" ? `file://${this.log}?direct=true` : "";
    return this.#stage.tasks.create({ containerId: this.id, rootfs: this.#stage.rootfs, stdout });
  }

  /** Something that may be done to what runs. */
  async #run(): Promise<unknown> {
    const { tasks } = this.#stage;
    const containerId = this.id;
    const dice = this.#random.next();
    if (dice < 0.3) return this.#exec();
    if (dice < 0.4) return tasks.pause({ containerId });
    if (dice < 0.5) return delay(this.#random.below(300));
    if (!this.#mayEnd) return delay(100);
    if (this.deed !== "waits") return this.#told();
    if (dice < 0.7) {
      this.killed = true;
      return tasks.kill({ containerId, signal: SIGKILL });
    }
    if (dice < 0.8) return tasks.kill({ containerId, signal: SIGTERM });
    return this.#stage.write(`${this.id}.go`);
  }

  async #told(): Promise<void> {
    const { exitStatus } = await this.#stage.tasks.wait({ containerId: this.id }, patience());
    // Wait tells of one that nobody saw as well, by 255.
    assert.ok(
      [...(await this.codes()), 255].includes(exitStatus),
      `${this.id} was told to have ended with ${exitStatus}`,
    );
  }

  /** Its end, its code and its deletion; or, as it happens, only the beginning of that. */
  async #exec(): Promise<void> {
    const { tasks } = this.#stage;
    const exec: Exec = { id: `e${this.execs.length}`, code: 1 + this.#random.below(120), asked: false };
    this.execs.push(exec);
    const call = { containerId: this.id, execId: exec.id };
    const script = `echo run >>/out/${this.id}.${exec.id}.runs; sleep 0.0${this.#random.below(10)}; exit ${exec.code}`;
    await tasks.exec({ ...call, spec: execSpec(["sh", "-c", script]) });
    exec.asked = true;
    await tasks.start(call);
    if (this.#random.chance(0.2)) return;
    const { exitStatus } = await tasks.wait(call, patience());
    assert.ok(
      [exec.code, KILLED, 255].includes(exitStatus),
      `${exec.id} of ${this.id} was told to have ended with ${exitStatus}`,
    );
    await tasks.deleteProcess(call);
  }

  #script(): string {
    const { id, code } = this;
    const done = `echo >/out/${id}.end; exit ${code}`;
    const deed = {
      sleeps: `sleep 0.${this.#random.below(10)}`,
      prints: `i=0; while [ $i -lt 10 ]; do seq $((i * ${LINES / 10} + 1)) $((i * ${LINES / 10} + ${LINES / 10})); i=$((i + 1)); sleep 0.03; done`,
      waits: `while [ ! -e /out/${id}.go ]; do sleep 0.05; done`,
    };
    return `trap '${done}' TERM; echo run >>/out/${id}.runs; ${deed[this.deed]}; ${done}`;
  }

  async #forget(): Promise<void> {
    await eventually(
      `the record of ${this.id} is deleted`,
      async () => {
        try {
          await this.#stage.containers.delete({ id: this.id });
          return true;
        } catch (error) {
          return /not found/.test((error as Error).message) ? true : undefined;
        }
      },
      AGREE_MS_MAX,
    );
  }

  /** Does it, and leaves it to the next look what came of it when it fails. */
  async #try(action: () => Promise<unknown>): Promise<void> {
    try {
      await within(`a call on ${this.id}`, CALL_MS_MAX, action());
    } catch (error) {
      // Only a call's own failure has a code: what the test itself says is passed on.
      if (error instanceof assert.AssertionError || typeof (error as { code?: unknown }).code !== "number") throw error;
      this.failures.push((error as Error).message);
      await delay(AGAIN_MS);
    }
  }

  /** The row's status once row and kernel agree; undefined when there is no row. */
  async #agreed(): Promise<TaskStatus | undefined> {
    let difference = "";
    return eventually(
      `the row of ${this.id} agrees with the kernel`,
      async () => {
        const row = await this.#row();
        if (row === "unknown") return undefined;
        difference = await this.#difference(row);
        return difference === "" ? { status: row?.status } : undefined;
      },
      AGREE_MS_MAX,
    ).then(
      ({ status }) => status,
      (cause: unknown) => assert.fail(`${cause}: ${difference}`),
    );
  }

  /** Undefined when there is none; unknown while the daemon does not answer. */
  async #row() {
    try {
      return (await this.#stage.tasks.get({ containerId: this.id })).process;
    } catch (error) {
      return /not found/.test((error as Error).message) ? undefined : ("unknown" as const);
    }
  }

  async #difference(row: { readonly status: TaskStatus; readonly pid: number } | undefined): Promise<string> {
    const { namespace } = this.#stage;
    if (row === undefined) {
      // What a failed create was making is its own to end.
      if (!this.#deleting) return "";
      const left = await containerProcesses(namespace, [this.id]);
      return left.length === 0 ? "" : `no row, and processes ${left.join(" ")}`;
    }
    const lives = await runsIn(row.pid, namespace, this.id);
    const runs = await this.runs();
    const what = `status ${row.status}, process ${row.pid} ${lives ? "lives" : "is gone"}, its program was begun ${runs} times`;
    switch (row.status) {
      case TaskStatus.CREATED:
        return lives && runs === 0 ? "" : what;
      case TaskStatus.RUNNING:
      case TaskStatus.PAUSED:
        return lives && runs <= 1 ? "" : what;
      case TaskStatus.STOPPED:
        return lives ? what : "";
      default:
        return "";
    }
  }
}
