/**
 * Go's implementation as the other side, by what it put on the wire: go-frames.json holds, in order, every frame of a
 * conversation between its client and its server (conversation.ts, with metadata on the first call).
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import * as net from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { FrameReader, FrameType } from "../../../src/shim/ttrpc/frame.ts";
import { type CallContext, TtrpcClient, TtrpcServer } from "../../../src/shim/ttrpc/mod.ts";
import { temporaryDirectory } from "../../harness/temporary.ts";
import { converse } from "./conversation.ts";
import { handlers, Streaming } from "./streaming-service.ts";

const recorded = JSON.parse(readFileSync(new URL("go-frames.json", import.meta.url), "utf8")) as {
  readonly client: readonly string[];
  readonly server: readonly string[];
};

const streamIdOf = (frame: string) => Number.parseInt(frame.slice(8, 16), 16);
const typeOf = (frame: string) => Number.parseInt(frame.slice(16, 18), 16);

/** Frames by stream, each stream's in order: between streams the order is free. */
function byStream(frames: readonly string[]): Map<number, string[]> {
  const streams = new Map<number, string[]>();
  for (const frame of frames) streams.set(streamIdOf(frame), [...(streams.get(streamIdOf(frame)) ?? []), frame]);
  return new Map([...streams].sort(([a], [b]) => a - b));
}

/** The whole frames in what came, as hexadecimal. */
function cut(bytes: Buffer): string[] {
  const frames: string[] = [];
  let offset = 0;
  for (const { messageBytes } of new FrameReader().push(bytes)) {
    frames.push(bytes.subarray(offset, offset + 10 + messageBytes).toString("hex"));
    offset += 10 + messageBytes;
  }
  return frames;
}

test("our server answers Go's client as Go's server does, byte for byte", { timeout: 10_000 }, async (t) => {
  const path = join(await temporaryDirectory(t), "s");
  const server = new TtrpcServer();
  const metadata: CallContext["metadata"][] = [];
  server.register(Streaming, {
    ...handlers,
    echo: (request, context) => {
      metadata.push(context.metadata);
      return handlers.echo!(request, context);
    },
  });
  await server.listen(path);
  t.after(() => server.close());
  const socket = net.connect({ path });
  socket.write(Buffer.from(recorded.client.join(""), "hex"));
  let received = Buffer.alloc(0);
  for await (const chunk of socket) {
    received = Buffer.concat([received, chunk]);
    if (cut(received).length === recorded.server.length) break;
  }
  assert.deepEqual(byStream(cut(received)), byStream(recorded.server));
  assert.deepEqual(metadata[0], new Map([["key", ["one", "two"]]]));
});

test("our client says to Go's server what Go's client says, and understands it", { timeout: 10_000 }, async (t) => {
  const path = join(await temporaryDirectory(t), "s");
  const ours: string[] = [];
  const said = byStream(recorded.client);
  const answers = byStream(recorded.server);
  const listener = net.createServer((socket) => {
    socket.on("data", (chunk) => {
      for (const frame of cut(chunk as Buffer)) {
        ours.push(frame);
        const id = streamIdOf(frame);
        const left = answers.get(id)!;
        const [mine, theirs] = [ours.filter((other) => streamIdOf(other) === id).length, said.get(id)!.length];
        // A stream's messages are answered one by one; everything else when the client has said all.
        const isEcho = mine > 1 && left[0] !== undefined && typeOf(left[0]) === FrameType.Data;
        for (const answer of left.splice(0, mine === theirs ? left.length : isEcho ? 1 : 0)) {
          socket.write(Buffer.from(answer, "hex"));
        }
      }
    });
  });
  await once(listener.listen(path), "listening");
  t.after(() => listener.close());
  const client = await TtrpcClient.connect(`unix://${path}`);
  await converse(client);
  client.close();
  // The first call of Go's client had metadata.
  assert.deepEqual([...byStream(ours)].slice(1), [...said].slice(1));
});
