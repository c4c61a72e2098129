import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { localTime, parseTime, utcTime } from "../../src/cli/render/mod.ts";

describe("a time", () => {
  it("is shown in UTC to the nanosecond", () => {
    assert.equal(utcTime(1_700_000_000_123_456_789n), "2023-11-14T22:13:20.123456789Z");
    assert.equal(utcTime(0n), "1970-01-01T00:00:00.000000000Z");
    assert.equal(utcTime(-1n), "1969-12-31T23:59:59.999999999Z");
  });

  it("is the same instant when it is shown and read again", () => {
    const years1To9999 = fc.bigInt({ min: -62_135_596_800_000_000_000n, max: 253_402_300_799_999_999_999n });
    fc.assert(
      fc.property(years1To9999, (time) => {
        assert.equal(parseTime(utcTime(time)), time);
      }),
    );
  });

  it("is the same millisecond when it is shown in the local zone and read again", () => {
    const years1970To2100 = fc.bigInt({ min: 0n, max: 4_102_444_800_000_000_000n });
    fc.assert(
      fc.property(years1970To2100, (time) => {
        assert.equal(parseTime(localTime(time)), (time / 1_000_000n) * 1_000_000n);
      }),
    );
  });

  it("is read with any offset", () => {
    const instant = 1_700_000_000_500_000_000n;
    for (const text of ["2023-11-14T22:13:20.5Z", "2023-11-14t22:13:20.500z", "2023-11-15T03:43:20.5+05:30", "2023-11-14 14:13:20.5-08:00"]) {
      assert.equal(parseTime(text), instant, text);
    }
  });

  it("is not read from what is no RFC 3339 time", () => {
    for (const text of ["", "yesterday", "2023-11-14", "2023-11-14T22:13:20", "2023-13-14T22:13:20Z", "2023-11-14T25:13:20Z", " 2023-11-14T22:13:20Z"]) {
      assert.equal(parseTime(text), undefined, text);
    }
  });
});
