/**
 * Where shiplog is meant to differ from containerd: every such difference by name, with its reason. The comparison accepts nothing else, and
 * fails when an entry is no longer needed. docs/reference/api.md tells each of them to the reader.
 */
import type { Outcome } from "./recording.ts";

/** The line of containerd that is compared with: Debian 12 has 1.6, Debian 13 has 1.7. */
export type ReferenceVersion = "1.6" | "1.7";

interface Entry {
  /** As in docs/reference/api.md. */
  readonly name: string;
  readonly reason: string;
  /** Calls as `<scenario>: <call>`. */
  readonly calls: RegExp;
  /** The only reference that it is a difference from; absent where it is one from both. */
  readonly reference?: ReferenceVersion;
}

/** What the calls differ in, what each daemon says there, and that nothing else differs. Replies and events are compared as JSON. */
interface Pinned extends Entry {
  readonly containerd: Partial<Record<keyof Outcome, RegExp>>;
  readonly shiplog: Partial<Record<keyof Outcome, RegExp>>;
}

/** Where much is equal within what differs: made equal on both sides. */
interface Aligned extends Entry {
  readonly align: (outcome: Outcome) => Outcome;
}

export type Difference = Pinned | Aligned;

export const differences: readonly Difference[] = [
  {
    name: "success has a message",
    reason:
      "grpc-js sends `OK` as the message of the status OK, where Go sends none. Clients read it on failures only.",
    calls: /./,
    align: (outcome) => (outcome.code === "OK" ? { ...outcome, message: "" } : outcome),
  },
  {
    name: "a change of a namespace is published in it",
    reason:
      "1.6 publishes what befalls a namespace in that of the caller, and in none fails after it has made the change. shiplog publishes in the one concerned, as a fact of it.",
    reference: "1.6",
    calls: /^namespaces/,
    align: (outcome) => ({ ...outcome, events: outcome.events.map(withoutNamespace) }),
  },
  {
    name: "namespaces need no header",
    reason:
      "1.6 changes a namespace for a caller that sends no header or a malformed one, and then fails, for it cannot publish the event. shiplog succeeds.",
    calls: /^namespaces: .*\b(without a header|with a malformed header|delete a malformed name)/,
    containerd: { code: /^UNKNOWN$/, message: /^failed publishing event: /, reply: /^\[\]$/, events: /^\[\]$/ },
    shiplog: { code: /^(OK|NOT_FOUND)$/, message: /^(OK|namespace "a b": not found)?$/, reply: /./, events: /./ },
  },
  {
    name: "a namespace's long label is an invalid argument",
    reason: "1.6 forgets to give the refusal its class when a namespace is updated.",
    calls: /^namespaces: labels\.long$/,
    containerd: { code: /^UNKNOWN$/ },
    shiplog: { code: /^INVALID_ARGUMENT$/ },
  },
  {
    name: "a namespace is created with the labels that it has",
    reason: "1.6 tells of labels without a value in the event, which the namespace does not have.",
    calls: /^namespaces: all fields$/,
    containerd: { events: /"empty":""/ },
    shiplog: { events: /^(?!.*"empty")/ },
  },
  {
    name: "a namespace is named by an identifier",
    reason: "1.6 updates, and so makes, a namespace of any name, which no header can ever name.",
    calls: /^namespaces: update (nothing|a bad name)$/,
    containerd: { code: /^(OK|UNKNOWN)$/, message: /^$|^failed publishing event: /, reply: /./, events: /./ },
    shiplog: { code: /^INVALID_ARGUMENT$/, message: /^identifier /, reply: /^\[\]$/, events: /^\[\]$/ },
  },
  {
    name: "a label has a name",
    reason: "What 1.6's database says of an empty key has no class; shiplog says what is wrong with the request.",
    calls: /without a name|with an empty name/,
    containerd: { code: /^UNKNOWN$/, message: /key required$/ },
    shiplog: { code: /^INVALID_ARGUMENT$/, message: /has no name: invalid argument$/ },
  },
  {
    name: "snapshot events name the snapshotter",
    reason: "A field that came after 1.6, and that tells apart what is called the same on two snapshotters.",
    reference: "1.6",
    calls: /./,
    align: (outcome) => ({ ...outcome, events: outcome.events.map(withoutSnapshotter) }),
  },
  {
    name: "version is a namespace",
    reason: "1.6's database keeps something else under that name, so that a namespace of it can never be.",
    calls: /^namespaces( listed)?: (the name version|list)/,
    containerd: {
      code: /^(OK|UNKNOWN)$/,
      message: /^(incompatible value)?$/,
      reply: /^(?!.*"version")/,
      events: /^\[\]$/,
    },
    shiplog: { code: /^OK$/, message: /^(OK)?$/, reply: /"name":"version"/, events: /./ },
  },
  {
    name: "a container keeps its sandbox",
    reason: "A field that came after 1.6.",
    reference: "1.6",
    calls: /^containers created: (a sandbox|list)/,
    align: (outcome) => ({
      ...outcome,
      reply: JSON.parse(JSON.stringify(outcome.reply).replaceAll('"sandbox":"some-sandbox"', '"sandbox":""')),
    }),
  },
  {
    name: "a target's size is exact",
    reason: "A size above 2^53 - 1, which no content has, is refused.",
    calls: /^images created: (get )?the largest size$/,
    containerd: { code: /^OK$/, message: /^$/, reply: /9223372036854775807n/, events: /./ },
    shiplog: { code: /^(INVALID_ARGUMENT|NOT_FOUND)$/, message: /./, reply: /^\[\]$/, events: /^\[\]$/ },
  },
  {
    name: "images have leases",
    reason:
      "As in 2.x: a lease holds images, and an image with an expiry is held by the lease of the call that makes it.",
    calls:
      /^images created: (resources of the lease|with an expiry under an unknown lease)$|^leases: (add "images|resources)/,
    containerd: { code: /./, message: /^$|not supported yet/, reply: /^(?!.*"type":"images")/, events: /./ },
    shiplog: { code: /./, message: /^/, reply: /"type":"images"|^\[(\{\})?\]$/, events: /./ },
  },
  {
    name: "an image is deleted by its target",
    reason: "As in 2.x: a delete that names another target than the image has is refused.",
    calls: /^images created: delete by another target$/,
    containerd: { code: /^OK$/, message: /^$/, reply: /./, events: /./ },
    shiplog: { code: /^NOT_FOUND$/, message: /./, reply: /^\[\]$/, events: /^\[\]$/ },
  },
  {
    name: "a lease's resource has an id",
    reason: "What 1.6's database says of an empty key has no class; shiplog says what is wrong with the request.",
    calls: /^leases: add "(ingests|snapshots\/overlayfs|snapshots\/)" /,
    containerd: { code: /^UNKNOWN$/, message: /^(key|bucket name) required$/ },
    shiplog: { code: /^INVALID_ARGUMENT$/, message: /: invalid argument$/ },
  },
  {
    name: "a checkpoint's images are archived in shiplog's way",
    reason: "The same files, in other headers of tar.",
    calls: /^checkpoints by a stand-in: (of what is paused|held by the lease|info of the images)$/,
    align: (outcome) => ({ ...outcome, reply: without(/(?<="(?:digest|id)":")sha256:\w+/, outcome.reply) }),
  },
  {
    name: "a task is checkpointed any number of times",
    reason:
      "containerd fails where the namespace has one of the blobs already, as it has the container's spec from the checkpoint before.",
    calls: /^checkpoints by a stand-in: of the same$/,
    containerd: { code: /^UNKNOWN$/, message: /^content sha256:\w+: already exists$/, reply: /^\[\]$/ },
    shiplog: { code: /^OK$/, message: /^(OK)?$/, reply: /criu\.checkpoint\.criu\.tar.*checkpoint\.config\.v1\+proto/ },
  },
  {
    name: "a restored task's images are the bundle's",
    reason: "containerd unpacks them into a temporary directory, and leaves them there for ever.",
    calls: /^checkpoints by a stand-in: restore( from what cannot be)?$/,
    align: (outcome) => ({
      ...outcome,
      events: without(/(?<="checkpoint":")DIRECTORY\/(ctrd-checkpoint\d+|root\/[^"]*\/two\/restore)/, outcome.events),
    }),
  },
  {
    name: "a task that never ran has an exit",
    reason: "What could not be restored is deleted as any other task: in the log each has an exit. containerd tells of none.",
    calls: /^checkpoints by a stand-in: delete what cannot be restored$/,
    containerd: { reply: /"exitStatus":0,"exitedAt":"ZERO TIME"/, events: /^(?!.*tasks\/exit)/ },
    shiplog: { reply: /"exitStatus":255,"exitedAt":"TIME 1"/, events: /tasks\/exit.*tasks\/delete/ },
  },
  {
    name: "the runtime's log is a file per call",
    reason: "Calls that run at once do not write into each other's. It is seen in the text of one that left none.",
    calls: /^checkpoints by a stand-in: start what cannot be restored$/,
    align: (outcome) => ({ ...outcome, message: outcome.message.replace(/\/(log|runtime-log-\d+-\d+)\.json/, "/LOG") }),
  },
  {
    name: "options that are none are told in the decoder's words",
    reason: "The same mistake, found by another decoder.",
    calls: /^checkpoints by runc: (create )?with malformed options$/,
    containerd: { message: /^(unexpected EOF|proto:\scannot parse invalid wire-format data)$/ },
    shiplog: { message: /^decode containerd\.runc\.v1\.\w+: / },
  },
  {
    name: "a process that its task's deletion ended has an exit",
    reason:
      "1.6 answers with status 0 and no time while the exit is still on its way. shiplog waits for the exit, which is the one in the log.",
    calls: /^tasks that end: delete one that was never started$/,
    containerd: { reply: /"exitStatus":0,"exitedAt":"ZERO TIME"/, events: /"ZERO TIME"/ },
    shiplog: { reply: /"exitStatus":137,"exitedAt":"TIME 1"/, events: /"exitStatus":137/ },
  },
  {
    name: "the init process is no exec",
    reason:
      "1.6 passes DeleteProcess without an exec id on to the shim as a deletion of the container, beside the task's own.",
    calls: /^tasks: delete a process without an id$/,
    containerd: { code: /^UNKNOWN$/, message: /^cannot delete a running process: unknown$/ },
    shiplog: { code: /^NOT_FOUND$/, message: /^process does not exist : not found$/ },
  },
  {
    name: "a lease holds what a client finds there",
    reason:
      "1.6 does not attach a snapshot that exists already to the caller's lease, and so does not look for the lease; 1.7 and shiplog do.",
    reference: "1.6",
    calls: /^lease header: after /,
    align: (outcome) => ({
      ...outcome,
      reply: without(/,?\{"id":"other","type":"snapshots\/overlayfs"\}/, outcome.reply),
    }),
  },
  {
    name: "an unknown lease is found out first",
    reason: "The same, where the lease is unknown.",
    reference: "1.6",
    calls: /^lease header: prepare what exists under an unknown lease$/,
    containerd: { code: /^ALREADY_EXISTS$/, message: /./ },
    shiplog: { code: /^NOT_FOUND$/, message: /^lease does not exist: not found$/ },
  },
  {
    name: "what is no active snapshot is found out before the lease",
    reason: "Two things are wrong with the call, and each daemon names another. Nothing is changed either way.",
    calls: /^lease header: commit under an unknown lease$/,
    containerd: { code: /^NOT_FOUND$/, message: /^lease does not exist/ },
    shiplog: { code: /^FAILED_PRECONDITION$/, message: /is not active/ },
  },
  {
    name: "each write has one reply",
    reason: "containerd sends the last reply of a Write a second time when the stream ends. Clients stop at the first.",
    calls: /./,
    align: (outcome) => ({ ...outcome, reply: withoutRepeatedEnd(outcome.reply) }),
  },
  {
    name: "an ingest tells the digest that it expects",
    reason: "containerd forgets it, and answers with an empty one.",
    calls: /^(content written|lease header): status/,
    align: (outcome) => ({ ...outcome, reply: without(/(?<="expected":")[^"]*/, outcome.reply) }),
  },
  {
    name: "an expected digest is one",
    reason: "containerd takes any text there, and fails at the commit, whatever was written.",
    calls: /^content written: with a bad digest to expect$/,
    containerd: { code: /^OK$/, message: /^$/, reply: /"action":0/ },
    shiplog: { code: /^INVALID_ARGUMENT$/, message: /is no digest/, reply: /^\[\]$/ },
  },
  {
    name: "no ingest is left of a bad expectation",
    reason: "The same: there is nothing to abort.",
    calls: /^content written: abort what expects a bad digest$/,
    containerd: { code: /^OK$/, message: /^$/, reply: /./ },
    shiplog: { code: /^NOT_FOUND$/, message: /^reference bad: not found$/, reply: /^\[\]$/ },
  },
  {
    name: "content has any digest that clients name",
    reason:
      "containerd hashes with SHA-256 alone, and refuses to commit under a SHA-512 digest. shiplog computes what was expected.",
    calls: /^content written: (sha512|delete sha512|abort sha512)$/,
    containerd: { code: /^(FAILED_PRECONDITION|NOT_FOUND|OK)$/, message: /^/, reply: /./, events: /./ },
    shiplog: { code: /^(OK|NOT_FOUND)$/, message: /^/, reply: /./, events: /./ },
  },
  {
    name: "lists of content tell when it changed",
    reason: "1.6 leaves the time of the last change out of lists, though not out of Info.",
    calls: /^(content read: list by|collection: content )/,
    align: (outcome) => ({ ...outcome, reply: without(/,"updatedAt":"[^"]*"/, outcome.reply) }),
  },
  {
    name: "a snapshot has a key",
    reason:
      "What 1.6's database says of an empty key has no class, or no words; shiplog says what is wrong with the request.",
    calls: /^snapshots on \w+: (prepare an empty key|commit to no name|update no name)$/,
    containerd: { code: /^(UNKNOWN|INVALID_ARGUMENT)$/, message: /^(bucket name required|invalid argument)$/ },
    shiplog: { code: /^INVALID_ARGUMENT$/, message: /^snapshot key or name is empty: invalid argument$/ },
  },
  {
    name: "a snapshot is called by its own name",
    reason:
      "containerd lets the name that a snapshot has in its database show, and which part of it found the mistake.",
    calls: /^snapshots on/,
    align: (outcome) => ({
      ...outcome,
      message: outcome.message
        .replaceAll(/(?<="| )snapshots-\w+\/\d+\//g, "")
        .replace(/^failed to get (active|snapshot) mount: /, "")
        .replace(/^failed to commit snapshot [\w-]+: /, "failed to commit snapshot: "),
    }),
  },
  {
    name: "a list of snapshots needs a namespace",
    reason: "The same message, with the class that every other call gives it.",
    calls: /^snapshots on \w+: list without a namespace$/,
    containerd: { code: /^UNKNOWN$/ },
    shiplog: { code: /^FAILED_PRECONDITION$/ },
  },
  {
    name: "nothing is cleaned up on request",
    reason: "Cleanup is not implemented on either; containerd looks at the snapshotter first.",
    calls: /^snapshots on [\w ]+: cleanup/,
    containerd: { code: /^(UNIMPLEMENTED|INVALID_ARGUMENT|FAILED_PRECONDITION)$/, message: /./ },
    shiplog: { code: /^UNIMPLEMENTED$/, message: /Cleanup$/ },
  },
  {
    name: "a broken layer is told where it breaks",
    reason: "containerd's message names a directory of its own, and no layer.",
    calls: /^diff: apply (gzip as tar|what is no archive)$|^checkpoints by runc: create from what is no archive$/,
    containerd: { message: /^(mount callback failed on .*: )?unexpected EOF$/ },
    shiplog: { message: /^(apply layer sha256:\w+: )?read layer at byte \d+: / },
  },
  {
    name: "a missing namespace is found out first",
    reason: "containerd finds it out within the work, and tells of that too: Diff has both sides mounted by then.",
    calls: /^(diff: (apply|diff)|content written: status) without a namespace$/,
    containerd: { message: /: namespace is required: failed precondition$/ },
    shiplog: { message: /^namespace is required: failed precondition$/ },
  },
  {
    name: "an archive is written in shiplog's way",
    reason:
      "The same tree, in other headers of tar and another compressor's bytes: its digest and size are its own. What is in it is compared by the tests of Diff.",
    calls: /^diff: diff (as tar|as gzip|again)$/,
    containerd: {
      reply: /^\[\{"diff":\{"annotations":\{\},"digest":"sha256:\w+","mediaType":"[\w.+/]+","size":"\d+n"\}\}\]$/,
    },
    shiplog: {
      reply: /^\[\{"diff":\{"annotations":\{\},"digest":"sha256:\w+","mediaType":"[\w.+/]+","size":"\d+n"\}\}\]$/,
    },
  },
  {
    name: "a forwarded time is checked by the service",
    reason:
      "1.6's decoder refuses times outside of the years 1 to 9999, as garbage; 1.7 passes them on. shiplog says what is wrong with the request.",
    calls: /^events: forward (too early|too late|with bad nanoseconds)$/,
    containerd: { code: /^(INTERNAL|OK|UNKNOWN)$/, message: /^/, reply: /./, events: /./ },
    shiplog: {
      code: /^INVALID_ARGUMENT$/,
      message: /^timestamp of forwarded event: /,
      reply: /^\[\]$/,
      events: /^\[\]$/,
    },
  },
  {
    name: "expressions have no Unicode classes",
    reason:
      "Filters' regular expressions are matched in linear time, by an engine that does not know them. Such a filter matches nothing.",
    calls: /^containers listed: filters \["id~=\\\\pL"\]$/,
    containerd: { reply: /"id":"one"/ },
    shiplog: { reply: /^\[\{"containers":\[\]\}\]$/ },
  },
  {
    name: "plugins are shiplog's own parts",
    reason:
      "Under containerd's names, where clients look for them; without the parts that shiplog does not have, and with what each has to tell.",
    calls: /^introspection: .*plugins/,
    align: (outcome) => ({ ...outcome, reply: [{ plugins: sharedPlugins(outcome.reply) }] }),
  },
  {
    name: "the server tells its process",
    reason: "Fields that came with 1.7.",
    reference: "1.6",
    calls: /^introspection: server/,
    containerd: { reply: /"pid":"0n","pidns":"0n"/ },
    shiplog: { reply: /"pid":"PID","pidns":"PID"/ },
  },
  {
    name: "the version names shiplog",
    reason:
      "Clients read the line of containerd whose services are there; what comes after the plus sign is shiplog's.",
    calls: /^version: /,
    containerd: { reply: /"version":"1\.[67]\.\d+~ds1"/ },
    shiplog: { reply: /"version":"1\.6\.20\+shiplog\.[\d.]+"/ },
  },
  {
    name: "the transport has words of its own",
    reason: "The codes are the same; the messages are grpc-js's, which no client matches on.",
    calls: /^transport: /,
    containerd: { message: /^(unknown (method|service) |malformed method name|grpc: )/ },
    shiplog: {
      message:
        /^(The server does not implement the method |Error deserializing request|Received message larger than max |Sent message larger than max )/,
    },
  },
  {
    name: "a path without a method is not implemented",
    reason: "As is every path that is none; Go's server calls such a one malformed.",
    reference: "1.6",
    calls: /^transport: a path of one part$/,
    containerd: { code: /^RESOURCE_EXHAUSTED$/, message: /^malformed method name/ },
    shiplog: { code: /^UNIMPLEMENTED$/, message: /./ },
  },
  {
    name: "text is Unicode",
    reason: "What is no UTF-8 is read as U+FFFD, and so quoted.",
    calls: /^transport: text that is no UTF-8$/,
    containerd: { code: /./, message: /xff|invalid UTF-8/ },
    shiplog: { code: /^NOT_FOUND$/, message: /^container "\ufffd"/ },
  },
  {
    name: "a message ends somewhere",
    reason:
      "containerd puts 16 MiB of what was asked for in the message of a refusal, which no HTTP/2 header holds; shiplog cuts it.",
    calls: /^transport: a message of 16 MiB$/,
    containerd: { code: /^INTERNAL$/, message: /RST_STREAM/ },
    shiplog: { code: /^NOT_FOUND$/, message: /^container "x{10000}/ },
  },
  {
    name: "what is no JSON is told in the parser's words",
    reason: "The spec of a container is read for the shim's sake, by JavaScript's parser.",
    calls: /^tasks that end: create from a spec of no JSON$/,
    containerd: { message: /^failed to start shim: unexpected end of JSON input$/ },
    shiplog: { message: /^failed to start shim: .* in JSON at position / },
  },
  {
    name: "what could not be started has an exit",
    reason: "containerd answers the deletion of such an exec with status 0 and no time, as if it had ended well.",
    calls: /^tasks: delete the exec of no program$/,
    containerd: { reply: /"exitStatus":0,"exitedAt":"ZERO TIME"/ },
    shiplog: { reply: /"exitStatus":255,"exitedAt":"TIME 1"/ },
  },
  {
    name: "names are in the order of UTF-16",
    reason: "containerd's are in that of UTF-8, which differs for characters beyond U+FFFF beside those just below.",
    calls: /^images created: list$/,
    align: (outcome) => ({
      ...outcome,
      reply: [{ images: byName((outcome.reply[0] as { images: { name: string }[] }).images) }],
    }),
  },
  {
    name: "a label that is too long is not measured",
    reason: "1.7 tells how long it is, and cuts its key later. shiplog follows 1.6.",
    reference: "1.7",
    calls: /./,
    align: (outcome) => ({
      ...outcome,
      message: outcome.message.replace(
        /(label key and value)( length \(\d+ bytes\))? (greater than maximum size \(4096 bytes\), key: )[^:]*/,
        "$1 $3KEY",
      ),
    }),
  },
  {
    name: "no time is Go's zero time",
    reason: "1.7 leaves out the times that a reply to a write has nothing to tell of. shiplog follows 1.6.",
    reference: "1.7",
    calls: /./,
    align: (outcome) => ({
      ...outcome,
      reply: without(/"(started|updated)At":"ZERO TIME",|,"(started|updated)At":"ZERO TIME"(?=\})/, outcome.reply),
    }),
  },
  {
    name: "an update of a namespace answers with an empty one",
    reason: "1.7 answers with none. shiplog follows 1.6; clients look at neither.",
    reference: "1.7",
    calls: /^namespaces: /,
    align: (outcome) => ({ ...outcome, reply: without(/"namespace":\{"labels":\{\},"name":""\}/, outcome.reply) }),
  },
  {
    name: "a container has a spec",
    reason: "1.7 takes one without, from which no task can be made. shiplog follows 1.6.",
    reference: "1.7",
    calls: /^containers (created: no spec|updated: (spec to nothing|without a mask or a spec))$/,
    containerd: { code: /^OK$/, message: /^$/, reply: /"container":/, events: /./ },
    shiplog: {
      code: /^INVALID_ARGUMENT$/,
      message: /container\.Spec must be set: invalid argument$/,
      reply: /^\[\]$/,
      events: /^\[\]$/,
    },
  },
  {
    name: "a mount that fails is told whole",
    reason: "Our shim names the mount, as 1.6's does. 1.7's leaves it out.",
    reference: "1.7",
    calls: /^tasks that end: create on a mount that fails$/,
    containerd: {
      message: /^failed to create shim task: failed to mount rootfs component: no such file or directory: unknown$/,
    },
    shiplog: {
      message:
        /^failed to create shim task: failed to mount rootfs component &\{overlay overlay \[lowerdir=\/nothing\]\}: no such file/,
    },
  },
  {
    name: "a forwarded event has a time",
    reason: "1.7 takes one without for one of 1970. shiplog follows 1.6.",
    reference: "1.7",
    calls: /^events: (ttrpc )?forward without a timestamp$/,
    containerd: { code: /^OK$/, message: /^$/, reply: /./, events: /"timestamp":"0\.0"/ },
    shiplog: {
      code: /^INVALID_ARGUMENT$/,
      message: /^timestamp must be set on forwarded event/,
      reply: /^\[\]$/,
      events: /^\[\]$/,
    },
  },
  {
    name: "a ref is called by its own name",
    reason: "containerd lets the name that it has in its store show.",
    calls: /^content held: write to a ref that is held$/,
    containerd: { message: /^ref content\/\d+\/held locked for A WHILE: unavailable$/ },
    shiplog: { message: /^ref held locked for A WHILE: unavailable$/ },
  },
  {
    name: "what is collected is no event",
    reason:
      "1.7 publishes the removal of each snapshot that it collects. shiplog follows 1.6; its log has a fact for each.",
    reference: "1.7",
    calls: /^collection: /,
    align: (outcome) => ({
      ...outcome,
      events: outcome.events.filter((event) => (event as Recorded).topic !== "/snapshot/remove"),
    }),
  },
];

type Recorded = { readonly topic: string; readonly event: { readonly value: object } };

function withoutNamespace(event: unknown): unknown {
  return (event as Recorded).topic.startsWith("/namespaces/")
    ? { ...(event as Recorded), namespace: "THE NAMESPACE" }
    : event;
}

function withoutSnapshotter(recorded: unknown): unknown {
  const { topic, event } = recorded as Recorded;
  if (!topic.startsWith("/snapshot/")) return recorded;
  return { ...(recorded as Recorded), event: { ...event, value: { ...event.value, snapshotter: "ANY" } } };
}

/** The same with every match taken out of its JSON. */
function without(pattern: RegExp, reply: readonly unknown[]): readonly unknown[] {
  return JSON.parse(JSON.stringify(reply).replaceAll(new RegExp(pattern, "g"), "")) as readonly unknown[];
}

function withoutRepeatedEnd(reply: readonly unknown[]): readonly unknown[] {
  const [last, before] = [reply.at(-1), reply.at(-2)].map((message) => JSON.stringify(message));
  return last !== undefined && last === before ? reply.slice(0, -1) : reply;
}

/** What shiplog lacks: snapshotters and runtimes of other times, and the services that came after 1.6. */
const otherPlugins =
  /^io\.containerd\.(snapshotter\.v1\.(aufs|blockfile|btrfs|devmapper|zfs)|runtime\.v1\.linux|runtime\.v2\.shim|monitor\.v1\.cgroups|sandbox\.|streaming\.|transfer\.|nri\.|warning\.|tracing\.|deprecation|image-verifier|lease\.v1\.manager|grpc\.v1\.(sandbox|sandbox-controllers|streaming|transfer)|service\.v1\.(leases-service|sandbox|transfer)|event\.v1\.other|internal\.v1\.tracing)/;

interface PluginMessage {
  readonly type: string;
  readonly id: string;
  readonly platforms: unknown;
}

/** Names and platforms of what both have. */
function sharedPlugins(reply: readonly unknown[]): readonly unknown[] {
  const { plugins } = (reply[0] ?? { plugins: [] }) as { readonly plugins: readonly PluginMessage[] };
  return plugins
    .filter(({ type, id }) => !otherPlugins.test(`${type}.${id}`))
    .map(({ type, id, platforms }) => ({ type, id, platforms }))
    .sort((left, right) => (`${left.type}.${left.id}` < `${right.type}.${right.id}` ? -1 : 1));
}

function byName<Named extends { readonly name: string }>(listed: readonly Named[]): readonly Named[] {
  return [...listed].sort((left, right) => (left.name < right.name ? -1 : 1));
}
