/** containerd.services.images.v1.Images. */
import { images, leases } from "../../../src/wire/mod.ts";
import { callsOf, type Scenario } from "../scenario.ts";
import { labelLimits } from "./rules.ts";

const namespace = "images";
const call = callsOf(images.ImagesDefinition, { namespace });
const lease = callsOf(leases.LeasesDefinition, { namespace });
const digest = `sha256:${"1".repeat(64)}`;
const otherDigest = `sha256:${"2".repeat(64)}`;
const target = { mediaType: "application/vnd.oci.image.manifest.v1+json", digest, size: 5n };
const annotated = { ...target, annotations: { one: "1", "dotted.name/x": "2", empty: "" } };

const create = (name: string, image: object, headers = {}) =>
  call(name, "create", { image: { name: "name", target, ...image } }, headers);
/** Clients send the target also where there is nothing in it. */
const update = (name: string, image: { target?: object | undefined; labels?: object }, ...updateMask: string[]) =>
  call(
    name,
    "update",
    { image: { name: "full", target: {}, ...image } as object, ...(updateMask.length > 0 && { updateMask }) },
    { deadly: "target" in image && image.target === undefined },
  );

const digests = [
  ...[
    "",
    "sha256:",
    ":",
    "sha256",
    digest.slice(0, -1),
    `${digest}0`,
    `sha256:${"A".repeat(64)}`,
    `sha256:${"g".repeat(64)}`,
  ],
  ...[
    `sha512:${"1".repeat(128)}`,
    `sha384:${"1".repeat(96)}`,
    `sha512:${"1".repeat(64)}`,
    `md5:${"1".repeat(32)}`,
    `SHA256:${"1".repeat(64)}`,
  ],
  ...[
    `sha256+b64:${"1".repeat(64)}`,
    `a b:${"1".repeat(64)}`,
    ` ${digest}`,
    `sha256:${"1".repeat(32)}-${"1".repeat(31)}`,
  ],
];

const names = [
  "a b",
  "é",
  "\uff5e",
  "😀",
  "a\u0001",
  "-",
  "..",
  "a/b@sha256:x",
  "constructor",
  "__proto__",
  "n".repeat(5_000),
];

const creating: Scenario = {
  name: "images created",
  calls: [
    call("list where nothing is", "list", {}),
    call("nothing", "create", {}, { deadly: true }),
    create("no name", { name: "" }),
    create("no target", { target: undefined }, { deadly: true }),
    create("minimal", { name: "minimal" }),
    create("minimal again", { name: "minimal" }),
    create("all fields", {
      ...{ name: "full", target: annotated, labels: { a: "1", empty: "" } },
      ...{ createdAt: { seconds: 1n, nanos: 2 }, updatedAt: { seconds: 3n, nanos: 4 } },
    }),
    call("get all fields", "get", { name: "full" }),
    call("get an unknown one", "get", { name: "unknown" }),
    call("get no name", "get", {}),
    call("get a name to be quoted", "get", { name: 'a"\u0001\u007f\u2028é\\' }),
    create("size 0", { target: { ...target, size: 0n } }),
    create("size -1", { target: { ...target, size: -1n } }),
    create(
      "the largest size",
      { name: "large", target: { ...target, size: 2n ** 63n - 1n } },
      { namespace: "images-large" },
    ),
    call("get the largest size", "get", { name: "large" }, { namespace: "images-large" }),
    create("the largest safe size", { name: "safe", target: { ...target, size: 2n ** 53n - 1n } }),
    create("no media type", { target: { ...target, mediaType: "" } }),
    create("no digest and no media type", { target: { ...target, digest: "", mediaType: "" } }),
    create("a bad digest and a long label", { target: { ...target, digest: "x" }, labels: { a: "v".repeat(4096) } }),
    create("a long annotation", {
      name: "long-annotation",
      target: { ...target, annotations: { a: "v".repeat(5_000) } },
    }),
    create("an annotation without a name", { name: "odd-annotation", target: { ...target, annotations: { "": "v" } } }),
    ...digests.map((digest, index) =>
      create(`digest ${JSON.stringify(digest)}`, { name: `digest-${index}`, target: { ...target, digest } }),
    ),
    ...names.map((name) => create(`name ${JSON.stringify(name.slice(0, 20))}`, { name })),
    create("a name longer than the database's keys", { name: "n".repeat(32_769) }),
    ...labelLimits.map(({ name, labels }, index) => create(name, { name: `label-${index}`, labels })),
    create("no namespace", {}, { namespace: [] }),
    create("a malformed namespace", {}, { namespace: "a b" }),
    call("get without a namespace", "get", { name: "full" }, { namespace: [] }),
    call("list without a namespace", "list", {}, { namespace: [] }),
    call("update without a namespace", "update", { image: { name: "full", target } }, { namespace: [] }),
    call("delete without a namespace", "delete", { name: "full" }, { namespace: [] }),
    create("under an unknown lease", { name: "leased" }, { lease: "unknown" }),
    call("list", "list", {}),
    call("delete", "delete", { name: "minimal" }),
    call("delete twice", "delete", { name: "minimal" }),
    call("delete no name", "delete", {}),
    call("delete for sure", "delete", { name: "full", sync: true }),
    call("delete for sure twice", "delete", { name: "full", sync: true }),
    lease("a lease", "create", { id: "lease" }),
    create(
      "with an expiry under a lease",
      { name: "expires", labels: { "containerd.io/gc.expire": "2100-01-01T00:00:00Z" } },
      { lease: "lease" },
    ),
    lease("resources of the lease", "listResources", { id: "lease" }),
    create(
      "with an expiry under an unknown lease",
      { name: "expires-too", labels: { "containerd.io/gc.expire": "2100-01-01T00:00:00Z" } },
      { lease: "unknown" },
    ),
    call("delete by another target", "delete", { name: "..", target: { ...target, digest: otherDigest } }),
    call("delete by its target", "delete", { name: "safe", target }),
  ],
};

const updating: Scenario = {
  name: "images updated",
  calls: [
    create("create", { name: "full", target: annotated, labels: { a: "1" } }),
    call("nothing", "update", {}, { deadly: true }),
    call("no name", "update", { image: { target } }),
    call("unknown", "update", { image: { name: "unknown", target } }),
    update("an unknown field", {}, "unknown"),
    update("an empty path", {}, ""),
    update("name", {}, "name"),
    update("target.digest", { target: { ...target, digest: otherDigest } }, "target.digest"),
    update("created_at", {}, "created_at"),
    update("Labels", { labels: { a: "2" } }, "Labels"),
    update("labels", { labels: { a: "2", b: "3", none: "" } }, "labels"),
    update("labels.b", { labels: { b: "4", c: "ignored" } }, "labels.b"),
    update("labels of a dotted name", { labels: { "x.y/z": "5" } }, "labels.x.y/z"),
    update("labels.b to nothing", {}, "labels.b"),
    update("labels with an empty name", { labels: { "": "6" } }, "labels."),
    update("labels that are too long", { labels: { a: "v".repeat(4096) } }, "labels"),
    update("annotations", { target: { annotations: { two: "2" } } }, "annotations"),
    update("annotations without a target", {}, "annotations"),
    update("annotations.three", { target: { annotations: { three: "3", four: "4" } } }, "annotations.three"),
    update("annotations.three without a target", {}, "annotations.three"),
    update("target.annotations", { target: annotated }, "target.annotations"),
    update("target", { target: { ...annotated, digest: otherDigest } }, "target"),
    update("target to nothing", {}, "target"),
    update("no target", { target: undefined }, "labels"),
    update("a target of size 0", { target: { ...target, size: 0n } }, "target"),
    update(
      "target, then annotations.z",
      { target: { ...annotated, annotations: { z: "26" } } },
      "target",
      "annotations.z",
    ),
    update(
      "annotations.z, then target",
      { target: { ...target, annotations: { y: "25" } } },
      "annotations.z",
      "target",
    ),
    update("a good and a bad path", { labels: { a: "not" } }, "labels.a", "bad"),
    call("get after the masks", "get", { name: "full" }),
    update("without a mask", { target: annotated, labels: { only: "this" } }),
    update("without a mask or a target", { labels: { only: "this" } }),
    update("without a mask or labels", { target }),
    update("to what it is", { target }),
    call("get at the end", "get", { name: "full" }),
  ],
};

const listed = [
  { name: "one", target: annotated, labels: { a: "1", "containerd.io/x": "y" } },
  { name: "two", target: { ...target, digest: otherDigest, mediaType: "other" }, labels: { a: "2" } },
];

const filters = [
  ...[
    "name",
    "name==one",
    "name!=one",
    "name~=o",
    "target",
    "target.digest",
    `target.digest==${digest}`,
    "target.digest~=^sha256:2",
    "target.mediatype",
    "target.mediatype==other",
  ],
  ...[
    "target.mediaType==other",
    "target.mediaType",
    "target.size",
    "target.size==5",
    "target.annotations",
    "target.annotations.one==1",
    "target.digest.x",
  ],
  ...[
    "labels",
    "labels.a==1",
    'labels."containerd.io/x"==y',
    "labels.none",
    "annotations",
    "annotations.one==1",
    'annotations."dotted.name/x"==2',
    "annotations.empty",
    "annotations.none",
    "id",
    "unknown!=x",
    "name===one",
    "name==",
  ],
];

const listing: Scenario = {
  name: "images listed",
  calls: [
    ...listed.map((image) => call(`create ${image.name}`, "create", { image }, { namespace: "images-listed" })),
    ...filters.map((filter) => call(`filter ${filter}`, "list", { filters: [filter] }, { namespace: "images-listed" })),
    call("two filters", "list", { filters: ["name==one", "name==two"] }, { namespace: "images-listed" }),
    call("in a namespace that is not there", "list", { filters: ["name==one"] }, { namespace: "images-none" }),
  ],
};

export const scenarios: readonly Scenario[] = [creating, updating, listing];
