/**
 * The FIFOs in a bundle through which a process's output reaches the shim, where the shim carries it. A FIFO has a name, so that a later
 * shim can go on reading where one died; the process holds it open for reading as well, so that it never sees the shim die. Owns the
 * directory `io` of the bundle, which nobody but root may enter.
 */
import { constants, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import {
  closeDescriptor,
  errorCode,
  findPath,
  makeFifo,
  openFound,
  setBlocking,
  setPipeCapacity,
} from "../../platform/mod.ts";
import { changeOwner, type StreamOwner } from "./client-path.ts";

/** `output` is both streams in one, in the order in which they were written. */
export type FifoStream = "stdout" | "stderr" | "output";

/** What a process can have printed before it has to wait for the shim; more means fewer turns. */
const capacityBytes = 512 * 1024;

export interface FifoName {
  readonly bundle: string;
  readonly execId: string;
}

/** The bundle's directory for streams, made if it is not there. */
export function ioDirectory(bundle: string): string {
  const directory = join(bundle, "io");
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch (thrown) {
    if (errorCode(thrown) !== "EEXIST") throw thrown;
  }
  return directory;
}

/** Makes the FIFO and opens both sides: the reader does not block, the writer (read-write, for the process) does. @throws errors of the calls */
export function makeProcessFifo(
  name: FifoName,
  stream: FifoStream,
  owner: StreamOwner,
): { readonly reader: number; readonly writer: number } {
  ioDirectory(name.bundle);
  const path = fifoPath(name, stream);
  // Of an earlier process with the same id.
  rmSync(path, { force: true });
  makeFifo(path, 0o600);
  const found = findPath(path);
  try {
    const writer = openFound(found, constants.O_RDWR);
    setBlocking(writer, true);
    changeOwner(writer, owner);
    setPipeCapacity(writer, capacityBytes);
    return { writer, reader: openFound(found, constants.O_RDONLY) };
  } finally {
    closeDescriptor(found);
  }
}

/** Opens the shim's side again, of a process that runs or has ended meanwhile; undefined when all of it had been read. */
export function reopenProcessFifo(name: FifoName, stream: FifoStream): number | undefined {
  let found: number;
  try {
    found = findPath(fifoPath(name, stream));
  } catch (thrown) {
    if (errorCode(thrown) === "ENOENT") return undefined;
    throw thrown;
  }
  try {
    return openFound(found, constants.O_RDONLY);
  } finally {
    closeDescriptor(found);
  }
}

/** Nothing comes out of it any more. */
export function removeProcessFifo(name: FifoName, stream: FifoStream): void {
  rmSync(fifoPath(name, stream), { force: true });
}

function fifoPath({ bundle, execId }: FifoName, stream: FifoStream): string {
  // containerd's identifiers have no slash; nothing may lead out of the directory whatever comes.
  if (execId.includes("/")) throw new Error(`exec id "${execId}" is no name`);
  return join(bundle, "io", `${execId === "" ? "init" : `exec-${execId}`}-${stream}`);
}
