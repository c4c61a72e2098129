/**
 * Payloads that do not fit a record, one file each, named by digest: `docs/formats/log.md`, "Attachments". Owns
 * `<root>/attachments/sha256`. A file is there, whole and durable, before a record that names it is appended; it is never changed.
 */
import { hash } from "node:crypto";
import { basename, dirname, join } from "node:path";
import type { Files } from "../platform/files.ts";
import { AttachmentDamaged, AttachmentTooLarge } from "./errors.ts";

export const attachmentBytesMax = 64 * 1024 * 1024;

/** Digests made durable by this process and remembered; past it the oldest is forgotten and would be attached again. */
const knownMax = 1024;

const digestPattern = /^sha256:([0-9a-f]{64})$/;

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${hash("sha256", bytes, "hex")}`;
}

export class Attachments {
  readonly #files: Files;
  readonly #directory: string;
  readonly #known = new Set<string>();
  /** Files that are being written, by name. */
  readonly #making = new Set<string>();
  /** Removals under way by the file's name: what is to have that name again has to wait. */
  readonly #removals = new Map<string, Promise<void>>();

  constructor(files: Files, root: string) {
    this.#files = files;
    this.#directory = join(root, "attachments", "sha256");
  }

  /** Whether a record may name the digest: this process has made it durable. */
  has(digest: string): boolean {
    return this.#known.has(digest);
  }

  path(digest: string): string {
    const hex = digestPattern.exec(digest)?.[1];
    if (hex === undefined) throw new AttachmentDamaged(digest, this.#directory, "the digest is not a SHA-256");
    return join(this.#directory, hex);
  }

  /** Makes a payload durable. Errors: the filesystem's own. */
  async put(digest: string, payload: Uint8Array): Promise<void> {
    const path = this.path(digest);
    this.#making.add(basename(path));
    try {
      await this.#removals.get(basename(path));
      await this.#files.makeDirectory("attachment.mkdir", dirname(path));
      await this.#files.writeFileDurably("attachment", path, payload);
      this.#known.add(digest);
      if (this.#known.size > knownMax) this.#known.delete(this.#known.values().next().value!);
    } finally {
      this.#making.delete(basename(path));
    }
  }

  /** The files that this process has not made, by name. Whether a record names one, the log knows. */
  async foreign(): Promise<readonly string[]> {
    try {
      const names = await this.#files.readdir("attachment.readdir", this.#directory);
      return names.filter((name) => !this.#isOwn(name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    }
  }

  /** Of a file in the directory of attachments. */
  pathOf(name: string): string {
    return join(this.#directory, name);
  }

  /** Removes a file that no record names; not one that this process has made since, which a record may be about to name. */
  async remove(name: string): Promise<void> {
    if (this.#isOwn(name)) return;
    const removal = this.#files.rm("attachment.remove", this.pathOf(name)).finally(() => this.#removals.delete(name));
    this.#removals.set(
      name,
      removal.catch(() => {}),
    );
    await removal;
  }

  #isOwn(name: string): boolean {
    const isUnfinished = name.includes(`.${process.pid}.`);
    return isUnfinished || this.#known.has(`sha256:${name}`) || this.#making.has(name);
  }

  /** Reads a payload and compares it with its digest. Errors: AttachmentDamaged. */
  async get(digest: string, size: number): Promise<Buffer> {
    const path = this.path(digest);
    let bytes: Buffer;
    try {
      const stats = await this.#files.stat("attachment.stat", path);
      if (stats.size !== size) throw new AttachmentDamaged(digest, path, `${stats.size} bytes instead of ${size}`);
      bytes = await this.#files.readFile("attachment.read", path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      throw new AttachmentDamaged(digest, path, "the file is missing", { cause: error });
    }
    if (digestOf(bytes) !== digest) throw new AttachmentDamaged(digest, path, "the content does not match the digest");
    return bytes;
  }
}

/** Throws AttachmentTooLarge. */
export function assertAttachable(payload: Uint8Array): void {
  if (payload.length > attachmentBytesMax) throw new AttachmentTooLarge(payload.length, attachmentBytesMax);
}
