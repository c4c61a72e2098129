/**
 * Reading by paths where there is much: what a prefix costs goes with the rows that it returns, not with those that there are. Through the
 * service and its transport, as a client sees it. Run alone or by bench.ts.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GrpcServer } from "../../src/api/grpc/mod.ts";
import { queryService } from "../../src/api/query.ts";
import { Files, peerOf, randomIds } from "../../src/platform/mod.ts";
import { query } from "../../src/wire/mod.ts";
import { type ServiceClient, serviceClient } from "../harness/grpc-client.ts";
import { type OpenLedger, openLedgerIn, testOrigin } from "../harness/ledger.ts";
import { median } from "./median.ts";

type Client = ServiceClient<typeof query.QueryDefinition>;

const SIZES = [1_000, 10_000, 100_000] as const;
/** Entries below one prefix. */
const GROUP = 100;
const APPEND_MAX = 2_000;
const ROUNDS = 200;
const WATCHED_FACTS = 20_000;

export async function benchQueries(print: (line: string) => void): Promise<void> {
  for (const size of SIZES) {
    const root = await mkdtemp(join(tmpdir(), "shiplog-bench-"));
    try {
      await measure(root, size, print);
    } finally {
      await rm(root, { recursive: true, force: true });
    }
  }
}

async function measure(root: string, size: number, print: (line: string) => void): Promise<void> {
  const open = await openLedgerIn(root);
  await fill(open, size);
  const { ledger, tables, log } = open;
  const server = new GrpcServer({
    ids: randomIds,
    files: new Files(),
    peerOf,
    onFault: ({ error }) => print(String(error)),
  });
  server.add(query.QueryDefinition, queryService({ ledger, tables, log, follow: (range) => log.follow(range) }));
  await server.listen(join(root, "api.sock"));
  const client = serviceClient(query.QueryDefinition, join(root, "api.sock"));
  const at = `queries, ${size.toLocaleString("en")} keys`;

  const group = (round: number) => `/bench/g/${(round * 7_919) % (size / GROUP)}`;
  const get = await timed((round) => client.get({ path: `${group(round)}/${round % GROUP}` }, {}), 1);
  const some = await timed(async (round) => (await client.list({ prefix: `${group(round)}/1*` }, {})).rows, 11);
  const full = await timed(async (round) => (await client.list({ prefix: group(round) }, {})).rows, GROUP);
  const first = await timed(async () => (await client.list({ prefix: "/", limit: 10 }, {})).rows, 10);
  const none = await timed(async (round) => (await client.list({ prefix: `${group(round)}/nothing` }, {})).rows, 0);
  const ms = (value: number) => `${value.toFixed(2)} ms`;
  print(
    `${at}: get ${ms(get)}; list of none ${ms(none)}, of the first 10 of / ${ms(first)}, of 11 ${ms(some)}, of ${GROUP} ${ms(full)} (medians)`,
  );

  const listed = performance.now();
  let rows = 0;
  let position = 0n;
  for (let pageToken = "", begun = false; !begun || pageToken !== ""; begun = true) {
    const page = await client.list({ prefix: "/", pageToken }, {});
    rows += page.rows.length;
    ({ position } = page);
    pageToken = page.nextPageToken;
  }
  const perSecond = Math.round(rows / ((performance.now() - listed) / 1_000));
  print(`${at}: all of them in pages, ${perSecond.toLocaleString("en")} rows/s`);
  if (size === SIZES.at(-1)) await watch(open, client, Number(position), print);

  client.close();
  await server.close({ graceMs: 100 });
  await open.close();
}

/** A watch that catches up, of one prefix among many that change. */
async function watch(open: OpenLedger, client: Client, from: number, print: (line: string) => void): Promise<void> {
  const changed = Math.min(WATCHED_FACTS, from - 1);
  const started = performance.now();
  let seen = 0;
  for await (const { changes } of client.watch({ prefix: "/bench/g", fromPosition: BigInt(from - changed) }, {})) {
    seen += changes.length;
    if (seen >= changed) break;
  }
  const perSecond = Math.round(seen / ((performance.now() - started) / 1_000));
  print(`queries, a watch that catches up: ${perSecond.toLocaleString("en")} changes/s`);
  const lags: number[] = [];
  const stop = new AbortController();
  const next = open.log.durableNext;
  const watching = client.watch({ prefix: "/bench/live", fromPosition: BigInt(next) }, { signal: stop.signal });
  const messages = watching[Symbol.asyncIterator]();
  for (let round = 0; round < ROUNDS; round += 1) {
    const put = performance.now();
    const value = { typeUrl: "bench", value: Buffer.from(String(round)) };
    await client.put({ path: "/bench/live/one", value }, {});
    await messages.next();
    lags.push(performance.now() - put);
  }
  stop.abort();
  print(`queries, a put until a watch has told of it: ${median(lags).toFixed(2)} ms (median)`);
}

async function fill({ ledger }: OpenLedger, size: number): Promise<void> {
  for (let begun = 0; begun < size; begun += APPEND_MAX) {
    const numbers = Array.from({ length: Math.min(APPEND_MAX, size - begun) }, (_, index) => begun + index);
    await ledger.transact(testOrigin("bench"), () =>
      numbers.map((number) => {
        const name = `g/${Math.floor(number / GROUP)}/${number % GROUP}`;
        const value = { typeUrl: "bench", value: Buffer.from(`value ${number}, about as long as a few labels are`) };
        return { kind: "entry", key: name, command: { type: "PutEntry", name, value } };
      }),
    );
  }
}

/** Median milliseconds of a call; `rows` is what each answer must have. */
async function timed(call: (round: number) => Promise<unknown>, rows: number): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const started = performance.now();
    const answer = await call(round);
    times.push(performance.now() - started);
    const found = Array.isArray(answer) ? answer.length : 1;
    if (found !== rows) throw new Error(`${found} rows where ${rows} were due`);
  }
  return median(times);
}

if (import.meta.main) await benchQueries(console.log);
