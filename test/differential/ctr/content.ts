/** Content written, read, edited, labelled, and moved to and from a registry. */
import { createHash } from "node:crypto";
import { plain, type Script, type ScriptStep, type Setting, shell } from "./step.ts";

export const content: Script = { name: "content", steps };

const digestOf = (text: string) => `sha256:${createHash("sha256").update(text).digest("hex")}`;

/** Progress is shown when its time comes, in parts that depend on speed. */
export const progress = {
  reason: "progress, shown at any moment of it",
  lines:
    /elapsed|: +(resolv|wait|upload|download|commit|exist|done)\w* +\||"?(failed to get content info|active check failed)"? error="context canceled"/,
};

function steps({ image, registry }: Setting): readonly ScriptStep[] {
  const hello = digestOf("hello");
  const edited = digestOf("jello");
  const missing = digestOf("missing");
  const remote = `${registry}/test/content:1`;
  const active: ScriptStep = { ...plain("content", "active"), unordered: true };
  const flags = ["--plain-http", "--skip-verify"];
  return [
    shell("printf hello | ctr content ingest first"),
    shell("printf hello | ctr content ingest again"),
    shell(`printf sized | ctr content ingest --expected-size 5 --expected-digest ${digestOf("sized")} sized`),
    shell("printf short | ctr content ingest --expected-size 9 short"),
    shell(`printf other | ctr content ingest --expected-digest ${missing} other`),
    shell("printf other | ctr content ingest --expected-digest nonsense bad"),
    plain("content", "ingest"),
    active,
    { ...plain("content", "active", "--root", "/nowhere", "--timeout", "5s"), unordered: true },
    plain("content", "active", "ref==short"),
    plain("content", "active", "re(f"),
    shell("printf shorter99 | ctr content ingest short"),
    active,
    plain("content", "get", hello),
    plain("content", "edit", "--editor", "printf jello >", hello),
    plain("content", "edit", "--editor", "printf jello >", hello),
    plain("content", "edit", "--editor", "false", hello),
    plain("content", "edit", "--editor", "true", missing),
    plain("content", "edit", "--validate", "json", hello),
    plain("content", "edit", hello),
    plain("content", "get", edited),
    plain("content", "label", hello, "a=b", "c=d"),
    plain("content", "label", hello, "a=", "e=f"),
    plain("content", "label", hello),
    plain("content", "label", missing, "a=b"),
    plain("content", "label", missing),
    plain("content", "label", "nonsense", "a=b"),
    {
      ...plain("content", "label", hello, `${"k".repeat(4000)}=${"v".repeat(200)}`),
      differs: {
        reason: "1.7 tells the length too; shiplog has 1.6's words",
        lines: /label key and value/,
        newer: true,
      },
    },
    plain("content", "ls", "labels.c==d"),
    plain("content", "ls", "size>3"),
    plain("content", "ls", `digest==${edited}`),
    plain("content", "ls", "--quiet", "labels.c!=d"),
    plain("content", "rm", edited, "nonsense", missing, hello),
    plain("content", "rm"),
    plain("content", "ls", "-q"),

    plain("images", "import", image.archive),
    plain("content", "push-object", ...flags, remote, image.manifest, "application/octet-stream"),
    plain("content", "push-object", ...flags, remote, missing, "application/octet-stream"),
    { command: ["images", "push", "--plain-http", remote, image.name], differs: progress },
    plain("content", "fetch-object", ...flags, remote),
    plain("content", "fetch-object", ...flags, `${registry}/test/nothing:1`),
    { command: ["content", "fetch-blob", ...flags, remote, image.manifest], newer: true },
    plain("images", "rm", "--sync", image.name),
    plain("content", "ls", "-q"),
    { command: ["content", "fetch", ...flags, "--label", "from=registry", remote], differs: progress },
    plain("content", "ls"),
    { command: ["content", "fetch", "--plain-http", "--all-platforms", remote], differs: progress },
    { command: ["content", "fetch", "--plain-http", "--all-metadata", "--metadata-only", remote], differs: progress },
    { command: ["content", "fetch", "--plain-http", "--platform", "linux/arm64", remote], differs: progress },
    { command: ["content", "fetch", "--plain-http", `${registry}/test/nothing:1`], differs: progress },
    plain("images", "ls"),

    // ctr goes through the labels of each blob in no order.
    { ...plain("content", "prune", "references", "--dry"), unordered: true },
    // Nothing is looked at in between: once a client has waited for a collection, containerd goes on collecting by itself.
    plain("content", "prune", "references", "--async"),
    plain("content", "prune", "references"),
    plain("content", "ls"),
    plain("leases", "ls"),
  ];
}
