/**
 * The restart monitor: brings containers to the status that their labels ask for. It is told of every fact in the tick in which it is
 * recorded, and so acts on exits and never polls.
 *
 * Owns when attempts are made: one at a time for a container, a bounded number at once, later and later for one that keeps ending. It must
 * change nothing itself: each step is a call of the ledger or the task manager, in its own name, because of the fact that it answers.
 */
import type { Logger } from "pino";
import type { StatedFact } from "../events/catalogue.ts";
import type { Fact, Position, Principal } from "../events/fact.ts";
import type { ContainerState } from "../machines/mod.ts";
import type { Clock, Ids } from "../platform/mod.ts";
import { parseStream } from "../projections/mod.ts";
import { type Hands, startAgain, stopTask } from "./attempt.ts";
import { defaultTiming, type Timing } from "./back-off.ts";
import { decide, noPast, type Past, type Verdict } from "./decide.ts";
import { type History, lastExit } from "./history.ts";
import { statusLabel, wishOf } from "./labels.ts";

/** Containers that are started or stopped at once. */
export const attemptsMax = 8;

/** The name under which the monitor's doings are recorded. */
export const monitorClient = "restart-monitor";

export interface RestartMonitorOptions extends Hands {
  readonly history: History;
  readonly clock: Clock;
  readonly ids: Pick<Ids, "request">;
  readonly logger: Logger;
  readonly timing?: Timing;
}

/** A container whose labels name a status. */
interface Charge {
  readonly namespace: string;
  readonly id: string;
  wish: string;
  past: Past;
  /** The fact that the next attempt answers. */
  cause: Position | undefined;
  timer: NodeJS.Timeout | undefined;
  /** The last complaint about its labels, so that it is not repeated with every fact. */
  complaint: string;
}

type Attempt = Extract<Verdict, { readonly do: "start" | "stop" }>;

export class RestartMonitor {
  readonly #options: RestartMonitorOptions;
  readonly #timing: Timing;
  /** By `<namespace>/<id>`; neither part can hold a slash. */
  readonly #charges = new Map<string, Charge>();
  /** Those whose time has come, in that order, until there is room for them. */
  readonly #due = new Map<string, Attempt>();
  readonly #underWay = new Map<string, Promise<void>>();
  #stopObserving = (): void => {};
  #stopped = false;

  constructor(options: RestartMonitorOptions) {
    this.#options = options;
    this.#timing = options.timing ?? defaultTiming;
  }

  /**
   * Takes every container in charge whose labels ask for it, and begins. To be called once tasks are recovered and before clients are
   * served; resolves when the past is read, and starts of containers follow.
   */
  async start(): Promise<void> {
    const { ledger } = this.#options;
    this.#stopObserving = ledger.observe((facts) => this.#observe(facts));
    for (const { namespace, key, row } of ledger.view.containers.all())
      if (row.labels[statusLabel] !== undefined) this.#takeCharge(namespace, key, row);
    for (const charge of this.#charges.values()) await this.#remember(charge);
    for (const name of this.#charges.keys()) this.#look(name);
  }

  /** Begins nothing more; resolves when no attempt is under way, which the end of the task manager hastens. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#stopObserving();
    for (const { timer } of this.#charges.values()) clearTimeout(timer);
    await Promise.all(this.#underWay.values());
  }

  #takeCharge(namespace: string, id: string, { labels }: ContainerState): Charge {
    const charge: Charge = {
      namespace,
      id,
      wish: wishOf(labels),
      past: noPast,
      cause: undefined,
      timer: undefined,
      complaint: "",
    };
    this.#charges.set(`${namespace}/${id}`, charge);
    return charge;
  }

  async #remember(charge: Charge): Promise<void> {
    const { ledger, history } = this.#options;
    const { namespace, id } = charge;
    const task = ledger.view.tasks.get(namespace, id);
    if (task !== undefined && task.status !== "stopped") return;
    const exit = await lastExit(history, namespace, id);
    if (exit === undefined || (task === undefined && exit.deletedBy !== monitorClient)) return;
    charge.cause = exit.position;
    if (task === undefined) charge.past = { ...charge.past, exitStatus: exit.status };
  }

  #observe(facts: readonly (Fact & StatedFact)[]): void {
    const touched = new Set<string>();
    for (const fact of facts) {
      const stream = parseStream(fact.stream);
      if (stream?.kind !== "container" && stream?.kind !== "task") continue;
      const name = `${fact.namespace}/${stream.key}`;
      if (stream.kind === "container") this.#takeInContainer(name, stream.key, fact);
      else this.#takeInTask(name, fact);
      if (this.#charges.has(name)) touched.add(name);
    }
    for (const name of touched) this.#look(name);
  }

  #takeInContainer(name: string, id: string, fact: Fact & StatedFact): void {
    const { namespace } = fact;
    const row = this.#options.ledger.view.containers.get(namespace, id);
    if (fact.type === "ContainerDeleted" || row?.labels[statusLabel] === undefined) {
      clearTimeout(this.#charges.get(name)?.timer);
      this.#charges.delete(name);
      this.#due.delete(name);
      return;
    }
    const known = this.#charges.get(name);
    const charge = known ?? this.#takeCharge(namespace, id, row);
    const wish = wishOf(row.labels);
    if (known !== undefined && known.wish === wish) return;
    charge.wish = wish;
    charge.past = { ...charge.past, attempts: 0, failedAt: null, touchedAt: fact.time };
    charge.cause = fact.position;
  }

  #takeInTask(name: string, fact: Fact & StatedFact): void {
    const charge = this.#charges.get(name);
    if (charge === undefined) return;
    const { past, namespace, id } = charge;
    const isOurs = this.#underWay.has(name);
    switch (fact.type) {
      case "TaskStarted":
        charge.past = { ...noPast, attempts: isOurs ? past.attempts : 0 };
        charge.cause = undefined;
        break;
      case "TaskExited": {
        // A task that never ran is ended by its deletion.
        const task = this.#options.ledger.view.tasks.get(namespace, id);
        if (task !== undefined && task.startedAt !== 0n) charge.cause = fact.position;
        break;
      }
      case "TaskCreated":
      case "TaskCreateFailed":
      case "TaskStartFailed":
      case "TaskDeleteFailed":
        if (!isOurs) charge.past = { ...past, touchedAt: fact.time };
        break;
      case "TaskDeleted":
        if (!isOurs) {
          charge.past = { ...past, exitStatus: null, touchedAt: fact.time };
          charge.cause = fact.position;
        }
        break;
    }
  }

  #decide({ namespace, id, past }: Charge): Verdict {
    const { ledger, clock } = this.#options;
    const { labels } = ledger.view.containers.get(namespace, id)!;
    const task = ledger.view.tasks.get(namespace, id);
    return decide({ labels, task, past, now: clock.now(), timing: this.#timing });
  }

  /** Sets the container's timer to when something is to be done for it. Never acts itself: facts are told in the midst of an append. */
  #look(name: string): void {
    const charge = this.#charges.get(name);
    if (charge === undefined || this.#stopped || this.#underWay.has(name)) return;
    clearTimeout(charge.timer);
    this.#due.delete(name);
    const verdict = this.#decide(charge);
    if (verdict.do === "complain") this.#complain(charge, verdict.about);
    if (verdict.do !== "start" && verdict.do !== "stop") return;
    charge.timer = setTimeout(() => this.#wake(name), verdict.inMs).unref();
  }

  #wake(name: string): void {
    const charge = this.#charges.get(name)!;
    const verdict = this.#decide(charge);
    if ((verdict.do === "start" || verdict.do === "stop") && verdict.inMs === 0) {
      this.#due.set(name, verdict);
      this.#begin();
    } else {
      // A timer may be early by a millisecond, and the clock may have been set.
      this.#look(name);
    }
  }

  #begin(): void {
    for (const [name, attempt] of this.#due) {
      if (this.#stopped || this.#underWay.size >= attemptsMax) return;
      this.#due.delete(name);
      const charge = this.#charges.get(name)!;
      // Not in this tick: its first fact would be observed before it counts as under way.
      const done = Promise.resolve()
        .then(() => this.#attempt(charge, attempt))
        .finally(() => {
          this.#underWay.delete(name);
          this.#look(name);
          this.#begin();
        });
      this.#underWay.set(name, done);
    }
  }

  async #attempt(charge: Charge, attempt: Attempt): Promise<void> {
    const { logger, clock, ids, ledger } = this.#options;
    const { namespace, id, wish, cause } = charge;
    const name = `${namespace}/${id}`;
    const attempts = attempt.attempts + 1;
    const exitStatus = ledger.view.tasks.get(namespace, id)?.exit?.status ?? charge.past.exitStatus;
    charge.past = { ...charge.past, attempts, exitStatus };
    const origin = {
      namespace,
      principal: principal(),
      request: ids.request(),
      ...(cause === undefined ? {} : { cause }),
    };
    logger.info(
      { namespace, id, attempts, cause },
      attempt.do === "start" ? "start a container again" : "stop a container",
    );
    try {
      if (attempt.do === "stop") await stopTask(this.#options, origin, id);
      else {
        const isWanted = () => this.#charges.get(name) === charge && charge.wish === wish;
        await startAgain(this.#options, origin, id, attempt.count, isWanted);
      }
      if (attempt.do === "stop") charge.past = noPast;
      else charge.past = { ...charge.past, failedAt: null };
    } catch (error) {
      if (this.#stopped) return;
      charge.past = { ...charge.past, failedAt: clock.now() };
      logger.warn({ namespace, id, err: error }, `could not ${attempt.do} a container as its labels ask`);
    }
  }

  #complain(charge: Charge, about: string): void {
    if (charge.complaint === about) return;
    charge.complaint = about;
    const { namespace, id } = charge;
    this.#options.logger.warn({ namespace, id }, `a container is not started again: ${about}`);
  }
}

const principal = (): Principal => ({
  uid: process.geteuid!(),
  gid: process.getegid!(),
  pid: process.pid,
  client: monitorClient,
});
