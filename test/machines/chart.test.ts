import assert from "node:assert/strict";
import test from "node:test";
import { buildChart, stay } from "../../src/machines/chart.ts";

const door = buildChart<"open" | "shut" | "locked", "Open" | "Shut" | "Lock" | "Slam">("door", "shut", {
  open: { ...stay("open", ["Open"]), Shut: "shut", Slam: { when: "keyInside", to: "locked", otherwise: "shut" } },
  shut: { Open: "open", Lock: "locked" },
  locked: {},
});

test("a chart names the status that a command leads to", () => {
  assert.equal(door.next("shut", "Open"), "open");
  assert.equal(door.next("shut", "Lock"), "locked");
});

test("a command that changes nothing is legal where it is charted", () => {
  assert.equal(door.next("open", "Open"), "open");
});

test("a command that is not charted in a status is illegal there", () => {
  assert.equal(door.next("open", "Lock"), undefined);
  assert.equal(door.next("locked", "Open"), undefined);
});

test("a condition chooses between two statuses", () => {
  assert.equal(door.next("open", "Slam", ["keyInside"]), "locked");
  assert.equal(door.next("open", "Slam", ["raining"]), "shut");
  assert.equal(door.next("open", "Slam"), "shut");
});
