/**
 * Throughput of the shim's log formatters: a process's output from memory, through the formatter, to a file. What a pipe costs is not in it.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openFormattedLog } from "../../src/shim/log/mod.ts";

export interface ContainerLogFigures {
  readonly name: string;
  /** Of the process's output. */
  readonly megabytesPerSecond: number;
  readonly cpuSecondsPerGigabyte: number;
}

/** As a shim reads: a pipe's worth at a time, whatever line that cuts. */
const chunkBytes = 64 * 1024;
const chunks = 64;
/** So that reads from a pipe, which come in turns of the event loop, leave as much room for other events as they do in the shim. */
const chunksPerTurn = 4;

const texts: Readonly<Record<string, (line: number) => string>> = {
  "access log": (line) =>
    `2026-03-01T08:00:00Z INFO  request id=${line} path="/api/v1/items/${line % 100}" status=200 duration=12.3ms agent="curl/8.0"\n`,
  "JSON log": (line) =>
    `${JSON.stringify({ level: "info", time: 1772352000000 + line, request: line, message: 'GET "/api/v1/items" 200', path: "C:\\logs" })}\n`,
  "UTF-8 text": (line) => `Zeile ${line}: Grüße aus Köln, Prüfung abgeschlossen – 日本語のログ行もあります ✓\n`,
};

function output(text: (line: number) => string): Buffer[] {
  let all = "";
  for (let line = 0; all.length < chunks * chunkBytes; line++) all += text(line);
  const bytes = Buffer.from(all);
  return Array.from({ length: chunks }, (_, index) => bytes.subarray(index * chunkBytes, (index + 1) * chunkBytes));
}

async function measure(
  name: string,
  uri: string,
  input: readonly Buffer[],
  bytesTotal: number,
): Promise<ContainerLogFigures> {
  const lost: string[] = [];
  const context = { namespace: "bench", containerId: "bench", execId: "", terminal: false };
  const log = await openFormattedLog(uri, context, ({ reason }) => lost.push(reason));
  let wake = (): void => {};
  log.onWritable(() => wake());
  const cpuBefore = process.cpuUsage();
  const started = performance.now();
  let bytes = 0;
  for (let index = 0; bytes < bytesTotal; index++) {
    const chunk = input[index % input.length]!;
    bytes += chunk.length;
    if (!log.write("stdout", chunk)) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    } else if (index % chunksPerTurn === 0) await new Promise<void>((resolve) => setImmediate(resolve));
  }
  await log.close();
  const seconds = (performance.now() - started) / 1000;
  const cpu = process.cpuUsage(cpuBefore);
  if (lost.length > 0) throw new Error(`lost records: ${lost.join(", ")}`);
  return {
    name,
    megabytesPerSecond: bytes / 1e6 / seconds,
    cpuSecondsPerGigabyte: (cpu.user + cpu.system) / 1e6 / (bytes / 1e9),
  };
}

/** Measures each format with each text, and with rotation, in a directory of its own, which it removes. A few seconds. */
export async function measureContainerLogs(bytesTotal = 300_000_000): Promise<ContainerLogFigures[]> {
  const directory = await mkdtemp(join(tmpdir(), "shiplog-bench-logs-"));
  try {
    const figures: ContainerLogFigures[] = [];
    for (const scheme of ["json-file", "cri"]) {
      for (const [name, text] of Object.entries(texts)) {
        const input = output(text);
        const uri = `${scheme}://${directory}/container.log`;
        await measure("warm up", uri, input, bytesTotal / 10);
        await rm(`${directory}/container.log`);
        figures.push(await measure(`${scheme}, ${name}`, uri, input, bytesTotal));
        await rm(`${directory}/container.log`);
      }
      const rotating = `${scheme}://${directory}/rotating.log?max-size=10m&max-file=3`;
      figures.push(
        await measure(`${scheme}, access log, 10 MB files`, rotating, output(texts["access log"]!), bytesTotal),
      );
    }
    return figures;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Measures and prints. */
export async function benchContainerLogs(print: (line: string) => void): Promise<void> {
  for (const { name, megabytesPerSecond, cpuSecondsPerGigabyte } of await measureContainerLogs()) {
    print(
      `container log, ${name}: ${megabytesPerSecond.toFixed(0)} MB/s of output, ${cpuSecondsPerGigabyte.toFixed(2)} CPU s/GB`,
    );
  }
}

if (import.meta.main) await benchContainerLogs(console.log);
