/** One call of each form, and a refused one of two, in a fixed order: what a client of the streaming service does in a test of interoperation. */
import assert from "node:assert/strict";
import { StatusCode, type TtrpcClient } from "../../../src/shim/ttrpc/mod.ts";
import { Streaming } from "./streaming-service.ts";

/** Fails unless every answer is what the service gives. */
export async function converse(client: TtrpcClient): Promise<void> {
  const echo = await client.call(Streaming, "echo", { seq: 1, msg: "hello" });
  assert.deepEqual(echo, { seq: 2, msg: "hello" });
  await assert.rejects(client.call(Streaming, "echo", { seq: 99, msg: "" }), {
    code: StatusCode.NotFound,
    message: "no such echo",
  });

  const echoes = client.stream(Streaming, "echoStream", undefined);
  const replies = echoes[Symbol.asyncIterator]();
  for (let seq = 0; seq < 3; seq++) {
    await echoes.send({ seq, msg: "m" });
    assert.deepEqual(await replies.next(), { done: false, value: { seq: seq + 1, msg: "m" } });
  }
  echoes.closeSend();
  assert.deepEqual(await replies.next(), { done: true, value: undefined });

  const refused = client.stream(Streaming, "echoStream", undefined);
  await refused.send({ seq: 99, msg: "" });
  await assert.rejects(refused[Symbol.asyncIterator]().next(), { code: StatusCode.Aborted, message: "enough" });

  const sum = client.stream(Streaming, "sumStream", undefined);
  for (let add = 0; add < 3; add++) await sum.send({ add });
  assert.deepEqual(await sum.response(), { sum: 3, num: 3 });

  const parts = client.stream(Streaming, "divideStream", { sum: 12, num: 3 });
  assert.deepEqual(await Array.fromAsync(parts), [{ add: 4 }, { add: 4 }, { add: 4 }]);

  const nothing = client.stream(Streaming, "echoNull", undefined);
  await nothing.send({ seq: 0, msg: "" });
  await nothing.send({ seq: 7, msg: "" });
  assert.deepEqual(await nothing.response(), {});

  const empties = client.stream(Streaming, "echoNullStream", undefined);
  await empties.send({ seq: 0, msg: "" });
  const empty = empties[Symbol.asyncIterator]();
  assert.deepEqual(await empty.next(), { done: false, value: {} });
  empties.closeSend();
  assert.deepEqual(await empty.next(), { done: true, value: undefined });

  assert.deepEqual(await Array.fromAsync(client.stream(Streaming, "emptyPayloadStream", {})), [{ seq: 1, msg: "" }]);
}
