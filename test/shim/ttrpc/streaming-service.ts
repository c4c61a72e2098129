/** The service by which ttrpc's own tests try every form of call (containerd/ttrpc: integration/streaming), as a definition of ours. */
import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import { StatusCode, TtrpcError, type TtrpcHandlers } from "../../../src/shim/ttrpc/mod.ts";
import type { MessageCodec } from "../../../src/wire/definition.ts";
import { Empty } from "../../../src/wire/gen/google/protobuf/empty.ts";

/** A message of two optional fields, an int32 or uint32 as field 1 and one more kind as field 2. */
function codec<T extends object>(names: readonly (keyof T & string)[], blank: T): MessageCodec<T> {
  return {
    encode(message, writer = new BinaryWriter()) {
      for (const [index, name] of names.entries()) {
        const value = message[name];
        if (typeof value === "string" && value !== "") writer.uint32(((index + 1) << 3) | 2).string(value);
        if (typeof value === "number" && value !== 0) writer.uint32((index + 1) << 3).int32(value);
      }
      return writer;
    },
    decode(input) {
      const reader = new BinaryReader(input);
      const message = { ...blank };
      while (reader.pos < reader.len) {
        const tag = reader.uint32();
        const name = names[(tag >>> 3) - 1];
        if (name === undefined) reader.skip(tag & 7);
        else Object.assign(message, { [name]: typeof blank[name] === "string" ? reader.string() : reader.int32() });
      }
      return message;
    },
  };
}

export const EchoPayload = codec<{ seq: number; msg: string }>(["seq", "msg"], { seq: 0, msg: "" });
export const Part = codec<{ add: number }>(["add"], { add: 0 });
export const Sum = codec<{ sum: number; num: number }>(["sum", "num"], { sum: 0, num: 0 });

const method = <Req, Res, Q extends boolean, S extends boolean>(
  name: string,
  requestType: MessageCodec<Req>,
  requestStream: Q,
  responseType: MessageCodec<Res>,
  responseStream: S,
) => ({ name, requestType, requestStream, responseType, responseStream });

export const Streaming = {
  fullName: "ttrpc.integration.streaming.Streaming",
  methods: {
    echo: method("Echo", EchoPayload, false as const, EchoPayload, false as const),
    echoStream: method("EchoStream", EchoPayload, true as const, EchoPayload, true as const),
    sumStream: method("SumStream", Part, true as const, Sum, false as const),
    divideStream: method("DivideStream", Sum, false as const, Part, true as const),
    echoNull: method("EchoNull", EchoPayload, true as const, Empty, false as const),
    echoNullStream: method("EchoNullStream", EchoPayload, true as const, Empty, true as const),
    emptyPayloadStream: method("EmptyPayloadStream", Empty, false as const, EchoPayload, true as const),
  },
} as const;

/** What each method does. A sequence number of 99 is refused. */
export const handlers: TtrpcHandlers<typeof Streaming> = {
  echo: async ({ seq, msg }) => {
    if (seq === 99) throw new TtrpcError(StatusCode.NotFound, "no such echo");
    return { seq: seq + 1, msg };
  },
  async *echoStream(requests) {
    for await (const { seq, msg } of requests) {
      if (seq === 99) throw new TtrpcError(StatusCode.Aborted, "enough");
      yield { seq: seq + 1, msg };
    }
  },
  async sumStream(requests) {
    const total = { sum: 0, num: 0 };
    for await (const { add } of requests) {
      total.sum += add;
      total.num++;
    }
    return total;
  },
  async *divideStream({ sum, num }) {
    for (let i = 0; i < num; i++) yield { add: sum / num };
  },
  async echoNull(requests) {
    for await (const _ of requests);
    return {};
  },
  async *echoNullStream(requests) {
    for await (const _ of requests) yield {};
  },
  async *emptyPayloadStream() {
    yield { seq: 1, msg: "" };
  },
};
