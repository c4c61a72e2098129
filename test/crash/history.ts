/** What the log says after a crash, held against what was acknowledged before it. */
import assert from "node:assert/strict";
import { unpack } from "msgpackr";
import type { Connection } from "../../src/cli/client.ts";
import { log } from "../../src/wire/mod.ts";
import type { Life } from "./load.ts";

export interface HistoryFact {
  readonly position: number;
  readonly stream: string;
  readonly type: string;
  // biome-ignore lint/suspicious/noExplicitAny: payloads are looked into by name
  readonly data: any;
}

/** The facts of one namespace, read on from where the last reading ended; positions and stream versions are checked on the way. */
export class History {
  readonly facts: HistoryFact[] = [];
  readonly #namespace: string;
  readonly #versions = new Map<string, bigint>();
  #next = 0n;

  constructor(namespace: string) {
    this.#namespace = namespace;
  }

  async readOn(connection: Connection): Promise<void> {
    for await (const { facts } of connection.service(log.LogDefinition).read({ fromPosition: this.#next })) {
      for (const fact of facts) {
        assert.equal(fact.position, this.#next, "positions are dense");
        this.#next += 1n;
        const stream = `${fact.namespace} ${fact.stream}`;
        const version = (this.#versions.get(stream) ?? -1n) + 1n;
        assert.equal(fact.streamVersion, version, `versions of ${stream} are dense`);
        this.#versions.set(stream, version);
        if (fact.namespace !== this.#namespace) continue;
        this.facts.push({
          position: Number(fact.position),
          stream: fact.stream,
          type: fact.type,
          data: unpack(fact.data),
        });
      }
    }
  }

  /** Every acknowledged fact of this life is there once; there is one exit per process, and it is the true one. */
  check(life: Life): void {
    const { id } = life;
    for (const { stream, type, execId } of life.acknowledged) {
      const found = this.facts.filter(
        (fact) => fact.stream === stream && fact.type === type && (execId === undefined || fact.data.execId === execId),
      );
      assert.equal(found.length, 1, `${type} of ${stream} is in the log once`);
    }
    const task = this.facts.filter(({ stream }) => stream === `task/${id}`);
    const exits = task.filter(({ type }) => type === "TaskExited");
    const execExits = task.filter(({ type }) => type === "ExecExited");
    assert.ok(exits.length <= 1, `task/${id} exits at most once`);
    assert.ok(execExits.length <= 1, `the exec of task/${id} exits at most once`);
    const started = task.some(({ type }) => type === "TaskStarted");
    for (const { data } of exits) {
      if (!started) continue; // deleting a created task kills it
      assert.equal(data.known, true, `the exit of ${id} is known`);
      assert.equal(data.status, life.exitCode ?? 137, `the exit status of ${id} is the true one`);
    }
    for (const { data } of execExits) {
      const killedWithInit = life.killed && data.status === 137;
      assert.ok(data.status === life.execCode || killedWithInit, `the exit status of ${id}'s exec is the true one`);
    }
    if (life.observed.has(""))
      assert.equal(life.observed.get(""), life.exitCode ?? 137, `Wait told the true status of ${id}`);
  }
}
