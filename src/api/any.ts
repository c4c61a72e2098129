/** google.protobuf.Any between wire and facts: kept byte for byte, its type never looked at. */
import type { AnyValue } from "../events/catalogue.ts";
import type { Any } from "../wire/mod.ts";

export function anyValue({ typeUrl, value }: Any): AnyValue {
  return { typeUrl, value };
}

export function wireAny({ typeUrl, value }: AnyValue): Any {
  return { typeUrl, value: Buffer.from(value.buffer, value.byteOffset, value.byteLength) };
}
