import assert from "node:assert/strict";
import test from "node:test";
import { namespaceDecider, type NamespaceFact } from "../../src/machines/namespace.ts";
import { specify } from "./specification.ts";

const { given } = specify(namespaceDecider);
const created: NamespaceFact = { type: "NamespaceCreated", data: { labels: { b: "2", a: "1" }, implicit: false } };
const implicit: NamespaceFact = { type: "NamespaceCreated", data: { labels: {}, implicit: true } };

test("a namespace is created when it is absent", () => {
  const state = given()
    .when({ type: "CreateNamespace", name: "n", labels: { b: "2", a: "1" } })
    .decides(created);
  assert.deepEqual(state, { status: "present", labels: { a: "1", b: "2" }, createdAt: 1n });
});

test("creating a namespace is refused when it exists", () => {
  given(created)
    .when({ type: "CreateNamespace", name: "n", labels: {} })
    .rejects("AlreadyExists", "NamespaceExists", 'namespace "n": already exists');
});

test("the first write creates a namespace implicitly, later ones do nothing", () => {
  given().when({ type: "EnsureNamespace" }).decides(implicit);
  given(created).when({ type: "EnsureNamespace" }).decides();
});

test("an update replaces the labels, and creates an absent namespace", () => {
  const updated: NamespaceFact = { type: "NamespaceUpdated", data: { labels: { c: "3" }, requested: { c: "3" } } };
  assert.deepEqual(
    given(created)
      .when({ type: "UpdateNamespace", name: "n", labels: { c: "3" }, requested: { c: "3" } })
      .decides(updated).labels,
    { c: "3" },
  );
  given()
    .when({ type: "UpdateNamespace", name: "n", labels: { c: "3" }, requested: { c: "3" } })
    .decides(implicit, updated);
});

test("a namespace is deleted only when it holds nothing", () => {
  given(created)
    .when({ type: "DeleteNamespace", name: "n", holds: [] })
    .decides({ type: "NamespaceDeleted", data: {} });
  given(created)
    .when({ type: "DeleteNamespace", name: "n", holds: ["images", 'snapshots on "native" snapshotter'] })
    .rejects(
      "FailedPrecondition",
      "NamespaceNotEmpty",
      'namespace "n" must be empty, but it still has images, snapshots on "native" snapshotter: failed precondition',
    );
  given()
    .when({ type: "DeleteNamespace", name: "n", holds: [] })
    .rejects("NotFound", "NamespaceAbsent", 'namespace "n": not found');
});
