import assert from "node:assert/strict";
import { test } from "node:test";
import { IDENTIFIER_BYTES_MAX, identifier } from "../../src/api/identifier.ts";
import { LABEL_BYTES_MAX, storedLabels, validateLabels } from "../../src/api/labels.ts";
import { leaseSteps } from "../../src/api/lease-header.ts";
import { maskedLabels, maskedMap, maskPaths } from "../../src/api/mask.ts";
import { failureOf, STATUS_MESSAGE_LENGTH_MAX } from "../../src/api/status.ts";
import { ErrorClass, ShiplogError } from "../../src/error.ts";
import { openLedgerIn, testOrigin } from "../harness/ledger.ts";
import { temporaryDirectory } from "../harness/temporary.ts";

test("identifiers are taken and refused as containerd does", () => {
  for (const text of ["a", "A-b_c.d", "0", "a".repeat(IDENTIFIER_BYTES_MAX)]) assert.equal(identifier(text), text);
  for (const text of [
    "",
    "_a",
    "a.",
    "a--b",
    "a..b",
    "a/b",
    "a b",
    "é",
    "a\n",
    "a".repeat(IDENTIFIER_BYTES_MAX + 1),
  ]) {
    assert.throws(
      () => identifier(text, "thing"),
      { class: "InvalidArgument", message: /^thing: identifier / },
      JSON.stringify(text),
    );
  }
});

test("a label's key and value may have 4096 bytes together", () => {
  validateLabels({ k: "v".repeat(LABEL_BYTES_MAX - 1), "": "" }, "labels");
  assert.throws(() => validateLabels({ k: "v".repeat(LABEL_BYTES_MAX) }, "things"), {
    class: "InvalidArgument",
    message: "things: label key and value greater than maximum size (4096 bytes), key: k",
  });
  assert.throws(() => validateLabels({ k: "é".repeat(LABEL_BYTES_MAX / 2) }, "labels"), { class: "InvalidArgument" });
});

test("a label without a value is not stored", () => {
  assert.deepEqual(storedLabels({ a: "1", b: "", c: "2" }), { a: "1", c: "2" });
});

const updatable = { fields: ["labels", "size"], maps: ["labels"] };

test("a mask's paths are the fields or entries that may be updated, and all fields without a mask", () => {
  assert.deepEqual(maskPaths(undefined, updatable, "x"), updatable.fields);
  assert.deepEqual(maskPaths([], updatable, "x"), updatable.fields);
  assert.deepEqual(maskPaths(["labels.a.b/c", "size"], updatable, "x"), ["labels.a.b/c", "size"]);
  for (const path of ["", "label", "labelsx", "size.a", "Labels"]) {
    assert.throws(() => maskPaths([path], updatable, 'image "x"'), {
      class: "InvalidArgument",
      message: `cannot update ${JSON.stringify(path)} field on image "x"`,
    });
  }
});

test("a masked map is replaced as a whole or by entry, in the order of the paths", () => {
  const current = { a: "1", b: "2" };
  assert.equal(maskedLabels(["size"], "labels", current, { a: "9" }), undefined);
  assert.deepEqual(maskedLabels(["labels"], "labels", current, { c: "3" }), { c: "3" });
  assert.deepEqual(maskedLabels(["labels.x.y/z"], "labels", current, { "x.y/z": "3", b: "9" }), {
    a: "1",
    b: "2",
    "x.y/z": "3",
  });
  assert.deepEqual(maskedLabels(["labels.a", "labels.c"], "labels", current, {}), { b: "2" });
  assert.deepEqual(maskedLabels(["labels.a"], "labels", current, { a: "" }), { b: "2" });
  assert.deepEqual(maskedLabels(["labels.a", "labels"], "labels", current, { c: "3" }), { c: "3" });
  assert.deepEqual(maskedLabels(["labels", "labels.a"], "labels", current, { c: "3" }), { c: "3" });
  assert.deepEqual(maskedMap(["m.k"], "m", { j: 1 }, {}, 0), { j: 1, k: 0 });
});

test("every error class has a status, and the text that containerd's clients strip ends its message once", () => {
  const codes = Object.values(ErrorClass).map((errorClass) => failureOf(new ShiplogError(errorClass, "m")).code);
  assert.deepEqual(
    codes.toSorted((a, b) => a - b),
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
  );
  assert.deepEqual(failureOf(new ShiplogError("NotFound", "image x")), { code: 5, message: "image x: not found" });
  assert.deepEqual(failureOf(new ShiplogError("NotFound", "image x: not found")), {
    code: 5,
    message: "image x: not found",
  });
  assert.deepEqual(failureOf(new ShiplogError("Unavailable", "unavailable")), { code: 14, message: "unavailable" });
  assert.deepEqual(failureOf(new ShiplogError("Unknown", "cannot delete a running process")), {
    code: 2,
    message: "cannot delete a running process",
  });
  assert.deepEqual(failureOf(new TypeError("oops")), { code: 2, message: "oops" });
  assert.deepEqual(failureOf("thrown text"), { code: 2, message: "thrown text" });
  const long = failureOf(new ShiplogError("NotFound", "x".repeat(STATUS_MESSAGE_LENGTH_MAX + 5)));
  assert.equal(long.message.length, STATUS_MESSAGE_LENGTH_MAX + ": not found".length);
});

test("a lease header attaches to a known lease of the namespace only", async (t) => {
  const open = await openLedgerIn(await temporaryDirectory(t));
  await open.ledger.transact(testOrigin("ns"), () => [
    { kind: "lease", key: "l", command: { type: "CreateLease", id: "l", labels: {} } },
  ]);
  const { view } = open.ledger;
  const resource = { type: "content", id: "d" };
  assert.deepEqual(leaseSteps(view, "ns", undefined, resource), []);
  assert.throws(() => leaseSteps(view, "ns", "m", resource), {
    class: "NotFound",
    message: "lease does not exist: not found",
  });
  assert.throws(() => leaseSteps(view, "other", "l", resource), { class: "NotFound" });
  await open.ledger.transact(testOrigin("ns"), (plan) => leaseSteps(plan, "ns", "l", resource));
  assert.deepEqual(view.leases.get("ns", "l")?.resources, [resource]);
  await open.close();
});
