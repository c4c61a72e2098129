/** containerd.services.content.v1.Content. */
import { createHash } from "node:crypto";
import { content } from "../../../src/wire/mod.ts";
import { invoke, type Reply } from "../invoke.ts";
import { callsOf, type ComparedCall, type Scenario } from "../scenario.ts";

const { STAT, WRITE, COMMIT } = content.WriteAction;
const namespace = "content";
const call = callsOf(content.ContentDefinition, { namespace });

const bytes = Buffer.from("the content that is written");
const size = BigInt(bytes.length);
const digest = digestOf(bytes);
const other = Buffer.from("other content");
const unknown = `sha256:${"1".repeat(64)}`;
const large = Buffer.alloc(2_500_000, "large content ");
/** Keeps it from being collected, whenever that happens. */
const kept = { "containerd.io/gc.root": "yes" };

function digestOf(data: Buffer): string {
  return `sha256:${createHash("sha256").update(data).digest("hex")}`;
}

type Message = Parameters<typeof content.WriteContentRequest.fromPartial>[0];
const write = (name: string, ...messages: Message[]) => call(name, "write", messages);
const update = (name: string, info: object, ...updateMask: string[]) =>
  call(name, "update", { info: { digest, ...info }, ...(updateMask.length > 0 && { updateMask }) });
const statuses = (name: string, ...filters: string[]) => call(name, "listStatuses", { filters });
const malformed = [
  "",
  "nothing",
  "sha256:00",
  "sha256:",
  "../../etc/passwd",
  `md5:${"1".repeat(32)}`,
  `sha256:${"A".repeat(64)}`,
];

const writing: Scenario = {
  name: "content written",
  calls: [
    call("list where nothing is", "list", {}),
    statuses("statuses where nothing is"),
    call("status of none", "status", { ref: "none" }),
    call("status of no ref", "status", {}),
    call("abort none", "abort", { ref: "none" }),
    call("abort no ref", "abort", {}),
    write("without a ref", { action: STAT }),
    write("with a bad digest to expect", { action: STAT, ref: "bad", expected: "nothing" }),
    call("abort what expects a bad digest", "abort", { ref: "bad" }),
    write("stat", { action: STAT, ref: "one", total: size, expected: digest }),
    call("status after stat", "status", { ref: "one" }),
    write("a part", { action: WRITE, ref: "one", data: bytes.subarray(0, 10) }),
    write("stat what is there", { action: STAT, ref: "one" }),
    call("status of a part", "status", { ref: "one" }),
    write(
      "at the offset",
      { action: STAT, ref: "one" },
      { action: WRITE, offset: 10n, data: bytes.subarray(10, 15) },
      { action: STAT },
    ),
    write("at another offset", { action: STAT, ref: "one" }, { action: WRITE, offset: 14n, data: bytes.subarray(14) }),
    write("beyond the end", { action: STAT, ref: "one" }, { action: WRITE, offset: 16n, data: bytes.subarray(15) }),
    statuses("statuses"),
    ...["ref==one", "ref==two", "ref~=^o", "one", "ref", "offset", "ref===one"].map((filter) =>
      statuses(`statuses by ${filter}`, filter),
    ),
    write("with a digest that is another", { action: COMMIT, ref: "one", offset: 15n, expected: unknown }),
    call("status after a failed commit", "status", { ref: "one" }),
    write("with a size that is another", { action: STAT, ref: "one" }, { action: COMMIT, offset: 15n, total: 3n }),
    write(
      "at offset 0, which starts over",
      { action: STAT, ref: "one" },
      { action: WRITE, offset: 0n, data: bytes.subarray(0, 5) },
      { action: STAT },
    ),
    write("without data", { action: STAT, ref: "one" }, { action: WRITE, offset: 5n }),
    write(
      "the rest, and commit",
      { action: WRITE, ref: "one", offset: 5n, data: bytes.subarray(5) },
      { action: COMMIT, offset: size, total: size, expected: digest, labels: { ...kept, a: "1", empty: "" } },
    ),
    call("info", "info", { digest }),
    call("status after commit", "status", { ref: "one" }),
    write("what is there", { action: STAT, ref: "two", expected: digest }),
    write("what is there, found out at commit", { action: COMMIT, ref: "three", data: bytes }),
    write(
      "what is there, expected at commit",
      { action: STAT, ref: "four" },
      { action: COMMIT, data: bytes, expected: digest },
    ),
    statuses("statuses after what is there"),
    write("nothing at all", { action: COMMIT, ref: "empty", labels: kept }),
    write("with too long a label", { action: COMMIT, ref: "label", data: other, labels: { a: "v".repeat(4096) } }),
    call("status after too long a label", "status", { ref: "label" }),
    write("a ref of any text", { action: WRITE, ref: "a b/é\u0001", data: other }),
    call("abort a ref of any text", "abort", { ref: "a b/é\u0001" }),
    call("abort it twice", "abort", { ref: "a b/é\u0001" }),
    write(
      "with another ref in a later message",
      { action: WRITE, ref: "five", data: other },
      { action: STAT, ref: "six" },
    ),
    write(
      "with another total in a later message",
      { action: STAT, ref: "five", total: 13n },
      { action: STAT, total: 20n },
    ),
    call("abort", "abort", { ref: "five" }),
    write("sha512", {
      action: COMMIT,
      ref: "sha512",
      data: other,
      expected: `sha512:${createHash("sha512").update(other).digest("hex")}`,
      labels: kept,
    }),
    call("delete sha512", "delete", { digest: `sha512:${createHash("sha512").update(other).digest("hex")}` }),
    call("abort sha512", "abort", { ref: "sha512" }),
    write("a total", { action: WRITE, ref: "total", total: 20n, data: other }),
    write("another total, which starts over", { action: STAT, ref: "total", total: 30n }),
    call("abort the other total", "abort", { ref: "total" }),
    write("a large one", { action: COMMIT, ref: "large", data: large, labels: kept }),
    call("without a namespace", "write", [{ action: STAT, ref: "x" }], { namespace: [] }),
    call("in a malformed namespace", "write", [{ action: STAT, ref: "x" }], { namespace: "a b" }),
    call("info without a namespace", "info", { digest }, { namespace: [] }),
    call("list without a namespace", "list", {}, { namespace: [] }),
    call("delete without a namespace", "delete", { digest }, { namespace: [] }),
    call("read without a namespace", "read", { digest }, { namespace: [] }),
    call("status without a namespace", "status", { ref: "x" }, { namespace: [] }),
    call("statuses without a namespace", "listStatuses", {}, { namespace: [] }),
    call("abort without a namespace", "abort", { ref: "x" }, { namespace: [] }),
    call("update without a namespace", "update", { info: { digest } }, { namespace: [] }),
  ],
};

const reading: Scenario = {
  name: "content read",
  calls: [
    call("read", "read", { digest }),
    ...[
      [0n, 5n],
      [5n, 0n],
      [5n, 5n],
      [size, 0n],
      [size, 5n],
      [size + 1n, 0n],
      [5n, 100n],
      [-5n, 3n],
      [3n, -5n],
    ].map(([offset, size]) => call(`read ${size} at ${offset}`, "read", { digest, offset: offset!, size: size! })),
    call("read a large one", "read", { digest: digestOf(large) }),
    call("read a large one at an offset", "read", { digest: digestOf(large), offset: 1_000_000n }),
    call("read nothing", "read", { digest: digestOf(Buffer.alloc(0)) }),
    call("read an unknown one", "read", { digest: unknown }),
    call("read in another namespace", "read", { digest }, { namespace: "content-other" }),
    call("info in another namespace", "info", { digest }, { namespace: "content-other" }),
    call("info of an unknown one", "info", { digest: unknown }),
    ...malformed.flatMap((digest) => [
      call(`info of ${JSON.stringify(digest)}`, "info", { digest }),
      call(`read ${JSON.stringify(digest)}`, "read", { digest }),
      call(`update ${JSON.stringify(digest)}`, "update", { info: { digest } }),
      call(`delete ${JSON.stringify(digest)}`, "delete", { digest }),
    ]),
    ...[
      "",
      "digest",
      `digest==${digest}`,
      `digest!=${digest}`,
      "digest~=^sha512",
      "size",
      "size==0",
      "labels.a==1",
      "labels.a",
      "labels.empty",
      "unknown!=1",
      "digest===",
      'labels."containerd.io/gc.root"==yes',
    ].map((filter) => call(`list by ${JSON.stringify(filter)}`, "list", { filters: [filter] })),
    update("nothing", {}),
    update("labels", { labels: { ...kept, a: "2", b: "3", none: "" } }, "labels"),
    update("labels.b", { labels: { b: "4", c: "ignored" } }, "labels.b"),
    update("labels.b to nothing", {}, "labels.b"),
    update("labels of a dotted name", { labels: { "x.y/z": "5" } }, "labels.x.y/z"),
    update("labels with an empty name", { labels: { "": "6" } }, "labels."),
    update("labels that are too long", { labels: { a: "v".repeat(4096) } }, "labels"),
    update("size", { size: 5n }, "size"),
    update("an empty path", {}, ""),
    update("without a mask", { size: 5n, labels: { ...kept, only: "this" }, createdAt: { seconds: 1n, nanos: 0 } }),
    call("update an unknown one", "update", { info: { digest: unknown, labels: { a: "1" } } }),
    call("update an unknown one by a bad mask", "update", { info: { digest: unknown }, updateMask: ["size"] }),
    call("info after the updates", "info", { digest }),
    call(
      "the same bytes in another namespace",
      "write",
      [{ action: STAT, ref: "shared", total: size, expected: digest }],
      { namespace: "content-other" },
    ),
    call(
      "commit them without sending them",
      "write",
      [
        { action: STAT, ref: "shared", total: size, expected: digest },
        { action: COMMIT, total: size, expected: digest, labels: kept },
      ],
      { namespace: "content-other" },
    ),
    call("info of them", "info", { digest }, { namespace: "content-other" }),
    call("delete", "delete", { digest }),
    call("delete twice", "delete", { digest }),
    call("info after delete", "info", { digest }),
    call("read in the other namespace after delete", "read", { digest }, { namespace: "content-other" }),
    call("delete an unknown one", "delete", { digest: unknown }),
  ],
};

/** What a second writer of a ref gets while the first has it open. */
function whileHeld(name: string, second: ComparedCall): ComparedCall {
  return {
    ...second,
    name,
    async run(subject) {
      let reply: Reply | undefined;
      const { fullName, methods } = content.ContentDefinition;
      await invoke(
        subject.client,
        `/${fullName}/${methods.write.name}`,
        methods.write,
        [{ action: STAT, ref: "held" }, { action: STAT }],
        {
          namespace,
          async onMessage() {
            reply ??= await second.run(subject);
          },
        },
      );
      return reply!;
    },
  };
}

const holding: Scenario = {
  name: "content held",
  calls: [
    whileHeld("write to a ref that is held", write("", { action: STAT, ref: "held" })),
    whileHeld("status of a ref that is held", call("", "status", { ref: "held" })),
    whileHeld("write to another ref", write("", { action: STAT, ref: "free" })),
    whileHeld(
      "write to the ref in another namespace",
      call("", "write", [{ action: STAT, ref: "held" }], { namespace: "content-other" }),
    ),
    write("write to a ref that was held", { action: STAT, ref: "held" }),
    ...["held", "free"].map((ref) => call(`abort ${ref}`, "abort", { ref })),
  ],
};

export const scenarios: readonly Scenario[] = [writing, reading, holding];
