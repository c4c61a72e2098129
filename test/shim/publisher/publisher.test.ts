import assert from "node:assert/strict";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Publisher, type ShimEvent } from "../../../src/shim/publisher/mod.ts";
import { expendableMax } from "../../../src/shim/publisher/publisher.ts";
import { StatusCode, TtrpcError, TtrpcServer } from "../../../src/shim/ttrpc/mod.ts";
import { EventsDefinition } from "../../../src/wire/gen/containerd/services/events/ttrpc/v1/events.ts";
import { eventually, within } from "../../harness/eventually.ts";
import { temporaryDirectory } from "../../harness/temporary.ts";

const event = (topic: string): ShimEvent => ({
  topic,
  event: { typeUrl: "containerd.events.TaskExit", value: Buffer.from("x") },
  timestamp: 1_700_000_000_000_000_001n,
});

/** A daemon's event service, which can be taken away and brought back. `answer` may refuse a topic, or never come. */
function daemon(path: string) {
  const topics: string[] = [];
  let server: TtrpcServer | undefined;
  const it = {
    topics,
    envelopes: [] as { namespace: string; nanos: number }[],
    answer: async (_topic: string): Promise<void> => {},
    async start() {
      server = new TtrpcServer();
      server.register(EventsDefinition, {
        forward: async ({ envelope }) => {
          await it.answer(envelope!.topic);
          topics.push(envelope!.topic);
          it.envelopes.push({ namespace: envelope!.namespace, nanos: envelope!.timestamp!.nanos });
          return {};
        },
      });
      await server.listen(path);
    },
    async stop() {
      await server?.close();
      server = undefined;
    },
  };
  return it;
}

async function parts(t: TestContext) {
  const path = join(await temporaryDirectory(t), "ttrpc");
  const there = daemon(path);
  t.after(() => there.stop());
  const trouble: string[] = [];
  const publisher = new Publisher({ ttrpcAddress: path, namespace: "ns", onTrouble: (text) => trouble.push(text) });
  t.after(() => publisher.close());
  return { there, publisher, trouble };
}

test("a publisher hands events over in order, with namespace and time", async (t) => {
  const { there, publisher } = await parts(t);
  await there.start();
  const names = Array.from({ length: 200 }, (_, index) => `/tasks/${index}`);
  let taken = 0;
  for (const [index, name] of names.entries())
    publisher.publish(event(name), index % 2 === 0 ? () => taken++ : undefined);
  assert.equal(await publisher.drained(10_000), true);
  assert.deepEqual(there.topics, names);
  assert.equal(taken, 100);
  assert.deepEqual(there.envelopes[0], { namespace: "ns", nanos: 1 });
});

test("a publisher keeps what must arrive while the daemon is away, and loses the oldest of the rest", async (t) => {
  const { there, publisher, trouble } = await parts(t);
  const kept: string[] = [];
  publisher.publish(event("/tasks/exit"), () => kept.push("exit"));
  for (let index = 0; index < expendableMax + 3; index++) publisher.publish(event(`/tasks/paused-${index}`));
  publisher.publish(event("/tasks/oom"), () => kept.push("oom"));
  assert.equal(await publisher.drained(1), false);
  assert.equal(publisher.dropped, 3);
  await there.start();
  publisher.nudge();
  assert.equal(await publisher.drained(20_000), true);
  assert.deepEqual(kept, ["exit", "oom"]);
  assert.deepEqual(there.topics, [
    "/tasks/exit",
    ...Array.from({ length: expendableMax }, (_, index) => `/tasks/paused-${index + 3}`),
    "/tasks/oom",
  ]);
  assert.equal(trouble.length, 2);
});

test("a publisher goes on after the daemon was replaced in the middle of a call", async (t) => {
  const { there, publisher } = await parts(t);
  let arrived = () => {};
  const inTheCall = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  there.answer = () => {
    arrived();
    return new Promise(() => {});
  };
  await there.start();
  let told = 0;
  publisher.publish(event("/tasks/exit"), () => told++);
  publisher.publish(event("/tasks/delete"));
  await inTheCall;
  await there.stop();
  there.answer = async () => {};
  await there.start();
  assert.equal(await publisher.drained(10_000), true);
  assert.deepEqual(there.topics, ["/tasks/exit", "/tasks/delete"]);
  assert.equal(told, 1);
});

test("a publisher sends again what the daemon cannot take now, before anything else", async (t) => {
  const { there, publisher } = await parts(t);
  let refusals = 3;
  there.answer = async () => {
    if (refusals-- > 0) throw new TtrpcError(StatusCode.Unavailable, "stopping");
  };
  await there.start();
  publisher.publish(event("/tasks/start"));
  publisher.publish(event("/tasks/exit"), () => {});
  assert.equal(await publisher.drained(10_000), true);
  assert.deepEqual(there.topics, ["/tasks/start", "/tasks/exit"]);
});

test("an event that the daemon refuses holds up no other", async (t) => {
  const { there, publisher, trouble } = await parts(t);
  there.answer = async (topic) => {
    if (topic === "/bad") throw new TtrpcError(StatusCode.InvalidArgument, "no such topic");
  };
  await there.start();
  publisher.publish(event("/bad"));
  publisher.publish(event("/bad"), () => assert.fail("told as taken"));
  publisher.publish(event("/tasks/exit"), () => {});
  await eventually("the good event arrives", () => (there.topics.length === 1 ? true : undefined));
  assert.equal(await publisher.drained(1), false);
  assert.deepEqual([publisher.waiting, publisher.dropped], [1, 1]);
  assert.match(trouble[0]!, /\/bad: no such topic/);
});

test("an event whose refusal is wanted is offered once", async (t) => {
  const { there, publisher } = await parts(t);
  let offered = 0;
  there.answer = async (topic) => {
    if (topic !== "/new") return;
    offered++;
    throw new TtrpcError(StatusCode.InvalidArgument, "no such type");
  };
  await there.start();
  const told: string[] = [];
  publisher.publish(
    event("/new"),
    () => told.push("taken"),
    () => told.push("refused"),
  );
  publisher.publish(event("/tasks/exit"), () => told.push("exit"));
  assert.equal(await publisher.drained(10_000), true);
  assert.deepEqual(told, ["refused", "exit"]);
  assert.deepEqual([offered, publisher.waiting, publisher.dropped], [1, 0, 1]);
});

test("closing a publisher ends its wait for the daemon", async (t) => {
  const { publisher } = await parts(t);
  publisher.publish(event("/tasks/exit"), () => assert.fail("told as taken"));
  assert.equal(await publisher.drained(100), false);
  publisher.close();
  assert.equal(await within("drained", 5_000, publisher.drained(1_000)), true);
});
