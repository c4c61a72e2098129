import assert from "node:assert/strict";
import { test } from "node:test";
import { isExplicitlyStopped, parsePolicy, wishOf } from "../../src/restart/labels.ts";

test("a policy is read as containerd reads it", () => {
  const policies: Record<string, [string, number] | undefined> = {
    "": ["always", 0],
    no: ["no", 0],
    always: ["always", 0],
    "unless-stopped": ["unless-stopped", 0],
    "on-failure": ["on-failure", 0],
    "on-failure:3": ["on-failure", 3],
    "on-failure:+3": ["on-failure", 3],
    "on-failure:-1": ["on-failure", -1],
    "on-failure:3:5": ["on-failure", 3],
    "on-failure:": undefined,
    "on-failure:3.5": undefined,
    "on-failure:0x3": undefined,
    "always:3": undefined,
    ":3": undefined,
    Always: undefined,
    never: undefined,
  };
  for (const [text, expected] of Object.entries(policies)) {
    const policy = parsePolicy(text);
    assert.deepEqual(policy && [policy.name, policy.attemptsMax], expected, JSON.stringify(text));
  }
});

test("an explicit stop is what Go takes for true, and part of what the labels ask for", () => {
  const stopped = (value: string) => ({ "containerd.io/restart.explicitly-stopped": value });
  for (const value of ["1", "t", "T", "TRUE", "true", "True"]) assert.ok(isExplicitlyStopped(stopped(value)), value);
  for (const value of ["0", "false", "yes", "tRUE"]) assert.ok(!isExplicitlyStopped(stopped(value)), value);
  assert.ok(!isExplicitlyStopped({}));
  assert.notEqual(wishOf(stopped("true")), wishOf({}));
  assert.equal(wishOf(stopped("true")), wishOf(stopped("1")));
  assert.equal(wishOf({ "containerd.io/restart.count": "1", other: "x" }), wishOf({}));
});
