/** A registry in memory on the loopback, as much of the OCI distribution protocol as clients that pull and push need. */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";

interface Stored {
  readonly mediaType: string;
  readonly bytes: Buffer;
}

const digestOf = (bytes: Buffer) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

/** Started by its maker, which closes it too. Repositories do not tell from one another: a blob is in all of them. */
export class Registry {
  readonly #server: Server;
  readonly #blobs = new Map<string, Stored>();
  /** By `<repository>:<tag>` and `<repository>:<digest>`. */
  readonly #manifests = new Map<string, Stored>();

  private constructor() {
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => response.destroy(error as Error));
    });
  }

  static async start(): Promise<Registry> {
    const registry = new Registry();
    await new Promise<void>((resolve) => registry.#server.listen(0, "127.0.0.1", resolve));
    return registry;
  }

  /** As it stands in references. */
  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url!, `http://${this.host}`);
    const [, repository, kind, name] = /^\/v2\/(.+)\/(manifests|blobs)\/(.*)$/.exec(pathname) ?? [];
    if (pathname === "/v2/") return void response.writeHead(200).end();
    if (repository === undefined || name === undefined) return notFound(response);
    const reading = request.method === "GET" || request.method === "HEAD";
    if (kind === "manifests") {
      if (reading) return give(response, this.#manifests.get(`${repository}:${name}`));
      const stored = { mediaType: request.headers["content-type"] ?? "", bytes: await buffer(request) };
      for (const key of [name, digestOf(stored.bytes)]) this.#manifests.set(`${repository}:${key}`, stored);
      return created(response, digestOf(stored.bytes));
    }
    if (reading) return give(response, this.#blobs.get(name));
    if (request.method === "POST") {
      return void response.writeHead(202, { Location: `${pathname}upload`, "Content-Length": "0" }).end();
    }
    const bytes = await buffer(request);
    if (digestOf(bytes) !== searchParams.get("digest")) return void response.writeHead(400).end();
    this.#blobs.set(digestOf(bytes), { mediaType: "application/octet-stream", bytes });
    return created(response, digestOf(bytes));
  }
}

function give(response: ServerResponse, stored: Stored | undefined): void {
  if (stored === undefined) {
    notFound(response);
    return;
  }
  const { mediaType, bytes } = stored;
  const headers = { "Content-Type": mediaType, "Docker-Content-Digest": digestOf(bytes) };
  response.writeHead(200, { ...headers, "Content-Length": bytes.length }).end(bytes);
}

function created(response: ServerResponse, digest: string): void {
  response.writeHead(201, { "Docker-Content-Digest": digest, "Content-Length": "0" }).end();
}

function notFound(response: ServerResponse): void {
  response.writeHead(404, { "Content-Length": "0" }).end();
}
