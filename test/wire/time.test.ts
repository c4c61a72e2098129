import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Timestamp } from "../../src/wire/gen/google/protobuf/timestamp.ts";
import { timestampFromUnixNano, unixNanoFromTimestamp } from "../../src/wire/time.ts";

const goZeroTime = { seconds: -62_135_596_800n, nanos: 0 };

test("a time that is not set becomes Go's zero time", () => {
  assert.deepEqual(timestampFromUnixNano(undefined), goZeroTime);
});

test("an absent time and Go's zero time are both not set", () => {
  assert.equal(unixNanoFromTimestamp(undefined), undefined);
  assert.equal(unixNanoFromTimestamp(goZeroTime), undefined);
});

test("1970 itself is a time that is set", () => {
  assert.equal(unixNanoFromTimestamp({ seconds: 0n, nanos: 0 }), 0n);
  assert.deepEqual(timestampFromUnixNano(0n), { seconds: 0n, nanos: 0 });
});

test("nanos count forward from the second below when the time is before 1970", () => {
  assert.deepEqual(timestampFromUnixNano(-1n), { seconds: -1n, nanos: 999_999_999 });
  assert.equal(unixNanoFromTimestamp({ seconds: -1n, nanos: 999_999_999 }), -1n);
});

test("a time keeps its nanosecond over the wire", () => {
  // From just after Go's zero time, which is `undefined`, to the end of the year 9999.
  const unixNano = fc.bigInt({ min: -62_135_596_799_999_999_999n, max: 253_402_300_799_999_999_999n });
  fc.assert(
    fc.property(unixNano, (time) => {
      const bytes = Timestamp.encode(timestampFromUnixNano(time)).finish();
      assert.equal(unixNanoFromTimestamp(Timestamp.decode(bytes)), time);
    }),
  );
});

test("a time outside the years 1 to 9999 is refused", () => {
  assert.throws(() => timestampFromUnixNano(253_402_300_800_000_000_000n), RangeError);
  assert.throws(() => timestampFromUnixNano(-62_135_596_800_000_000_001n), RangeError);
  assert.throws(() => unixNanoFromTimestamp({ seconds: 0n, nanos: 1_000_000_000 }), RangeError);
  assert.throws(() => unixNanoFromTimestamp({ seconds: 0n, nanos: -1 }), RangeError);
});
