/** What a subscription shows, as a call that can be compared: subscribed, told of the same events each time, and ended. */
import { events } from "../../src/wire/mod.ts";
import { eventually, within } from "../harness/eventually.ts";
import { type Headers, invoke, type Reply } from "./invoke.ts";
import { markers } from "./recording.ts";
import type { ComparedCall, Subject } from "./scenario.ts";

type Publication = Parameters<typeof events.PublishRequest.fromPartial>[0];

const { fullName, methods } = events.EventsDefinition;
const path = `/${fullName}/${methods.subscribe.name}`;

/** Names of the topics that tell when a subscription has begun and when it has shown everything. */
const [begin, end] = ["/subscribed/begin", "/subscribed/end"];

const nothing = { typeUrl: "nothing", value: Buffer.alloc(0) };

const SHOWN_MS_MAX = 10_000;

/** `filters` are those under comparison: the topics above come to them as further ones, any of which may hold. */
export function subscribed(
  name: string,
  filters: readonly string[],
  publications: readonly Publication[],
  headers: Headers = {},
): ComparedCall {
  return { name, path, later: [], deadly: false, run: (subject) => watch(subject, filters, publications, headers) };
}

async function watch(
  { client }: Subject,
  filters: readonly string[],
  publications: readonly Publication[],
  headers: Headers,
): Promise<Reply> {
  const publish = (publication: Publication, namespace = "events") =>
    invoke(client, `/${fullName}/${methods.publish.name}`, methods.publish, publication, { namespace });
  const marked = filters.length === 0 ? [] : [...filters, `topic==${begin}`, `topic==${end}`];
  const seen: events.Envelope[] = [];
  const stop = new AbortController();
  const last = Promise.withResolvers<void>();
  let ended: Reply | undefined;
  const reply = invoke(
    client,
    path,
    methods.subscribe,
    { filters: marked },
    {
      ...headers,
      signal: stop.signal,
      onMessage(message) {
        seen.push(message as events.Envelope);
        if (seen.at(-1)!.topic === end) last.resolve();
      },
    },
  ).then((reply) => {
    ended = reply;
    last.resolve();
  });
  await eventually("the subscription begins", async () => {
    await publish({ topic: begin, event: nothing }, markers);
    return ended !== undefined || seen.length > 0 ? true : undefined;
  });
  for (const publication of publications) await publish(publication);
  await publish({ topic: end, event: nothing }, markers);
  await within("the subscription shows everything", SHOWN_MS_MAX, last.promise);
  // One that is ended by the client has no status of the daemon's.
  const own = ended;
  stop.abort();
  await reply;
  const topics = new Set(publications.map(({ topic }) => topic));
  return {
    code: own?.code ?? "OK",
    message: own?.message ?? "",
    messages: seen.filter(({ topic }) => topics.has(topic)).map(({ topic }) => topic),
  };
}
