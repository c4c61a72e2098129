/**
 * Running a shim's binary: `start`, which answers with the address of a shim that listens, and `delete`, which clears away what
 * a dead shim left (containerd: runtime/v2/binary.go, runtime/v2/shim/util.go; docs/runtime-v2.md). A spare of our own shim that is
 * at hand is told what `start` would have been.
 *
 * Owns the command line, environment, standard input and deadlines of these two. It decides nothing.
 */
import { spawn } from "node:child_process";
import { ErrorClass, ShiplogError } from "../error.ts";
import type { AnyValue, ShimEndpoint } from "../events/catalogue.ts";
import { type OperationHook, proceed } from "../platform/mod.ts";
import { StatusCode, TtrpcError } from "../shim/ttrpc/mod.ts";
import { Any, shim, unixNanoFromTimestamp } from "../wire/mod.ts";
import type { TaskKey } from "./bundle.ts";
import type { ShimSettings } from "./shim-settings.ts";
import type { SpareShim, SpareShims } from "./spare-shims.ts";
import { Turns } from "./turns.ts";

export const launchDeadlineMs = {
  /** containerd waits for ever; a start takes some 50 ms on an idle machine. */
  start: 30_000,
  /** As io.containerd.timeout.shim.cleanup. */
  delete: 5_000,
  version: 5_000,
} as const;

/** How long a command that was killed at its deadline may take to end. */
const killedMsMax = 1_000;

/** Starts of shims at once; more wait, for together they would only be slower. */
const startsMax = 8;

/** Bytes of a shim's output that are kept: an address, or the reason why there is none. */
const outputBytesMax = 65_536;

/** The newest version of the task API that is spoken here. */
const protocolVersionMax = 3;

export interface LauncherOptions {
  /** The daemon's gRPC socket: a shim names its own socket after it, so it must be the same after a restart. */
  readonly address: string;
  readonly ttrpcAddress: string;
  /** A program that old shims run to publish events; those that know TTRPC_ADDRESS never do. */
  readonly publishBinary: string;
  /** Our own shim: its path, what it is told, and those that are warm. */
  readonly own: { readonly binary: string; readonly settings: ShimSettings; readonly spares: SpareShims };
  readonly hook?: OperationHook;
}

/** How a task ended that `delete` cleared away. `exitedAt` in unix nanoseconds. */
export interface CleanedUp {
  readonly pid: number;
  readonly exitStatus: number;
  readonly exitedAt: bigint | undefined;
}

interface Finished {
  readonly output: Buffer;
  readonly errors: Buffer;
  /** Undefined when it ended by itself with 0. */
  readonly failure: string | undefined;
}

export class Launcher {
  readonly #options: LauncherOptions;
  readonly #hook: OperationHook;
  readonly #takesOptions = new Map<string, Promise<boolean>>();
  readonly #turns = new Turns(startsMax);

  constructor(options: LauncherOptions) {
    this.#options = options;
    this.#hook = options.hook ?? proceed;
  }

  /**
   * Starts a shim for the bundle, or finds the one of its group, and returns where it listens. The shim's log FIFO must be open.
   * @throws ShiplogError Unknown with the shim's output, DeadlineExceeded, or Unimplemented for a protocol that is not spoken.
   */
  async start(binary: string, key: TaskKey, bundle: string, options: AnyValue | null): Promise<ShimEndpoint> {
    const { own } = this.#options;
    const spare = binary === own.binary ? own.spares.take() : undefined;
    const adopted = spare && (await this.#adopt(spare, key, bundle, options));
    return adopted ?? this.#turns.take(() => this.#start(binary, key, bundle, options));
  }

  /** Undefined when the spare has ended, or does not answer: a start can still be had. @throws ShiplogError Unknown with the shim's text */
  async #adopt(
    spare: SpareShim,
    { namespace, id }: TaskKey,
    bundle: string,
    options: AnyValue | null,
  ): Promise<ShimEndpoint | undefined> {
    const { own, address: daemonAddress, ttrpcAddress } = this.#options;
    const { grouping, cgroup } = own.settings;
    this.#hook("shim.adopt");
    try {
      const request = {
        namespace,
        id,
        bundle,
        daemonAddress,
        ttrpcAddress,
        grouping,
        cgroup: cgroup === "container" ? cgroup : "",
        debug: false,
      };
      const answer = await spare.adopt(
        { ...request, options: options === null ? undefined : anyOf(options) },
        launchDeadlineMs.start,
      );
      if (answer.serves) spare.release();
      else own.spares.giveBack(spare);
      return { address: answer.address, version: answer.version };
    } catch (error) {
      if (error instanceof TtrpcError && error.code === StatusCode.Unknown) {
        own.spares.giveBack(spare);
        throw new ShiplogError(ErrorClass.Unknown, `start failed: ${error.message}`, {
          reason: "ShimStartFailed",
          cause: error,
        });
      }
      spare.kill();
      return undefined;
    }
  }

  async #start(binary: string, key: TaskKey, bundle: string, options: AnyValue | null): Promise<ShimEndpoint> {
    const stdin =
      options !== null && (await this.#takesOptionsOnStdin(binary)) ? Any.encode(anyOf(options)).finish() : undefined;
    this.#hook("shim.start");
    const { output, failure } = await this.#run(binary, key, bundle, ["-id", key.id, "start"], {
      timeoutMs: launchDeadlineMs.start,
      stdin,
      together: true,
    });
    const text = output.toString("utf8").trim();
    if (failure !== undefined)
      throw new ShiplogError(ErrorClass.Unknown, `start failed: ${text}: ${failure}`, { reason: "ShimStartFailed" });
    return endpointOf(text);
  }

  /** @throws ShiplogError Unknown when the shim could not, or took too long. */
  async delete(binary: string, key: TaskKey, bundle: string): Promise<CleanedUp> {
    this.#hook("shim.delete");
    const args = ["-id", key.id, "-bundle", bundle, "delete"];
    const { output, errors, failure } = await this.#run(binary, key, bundle, args, {
      timeoutMs: launchDeadlineMs.delete,
    });
    if (failure !== undefined) {
      throw new ShiplogError(ErrorClass.Unknown, `shim delete: ${errors.toString("utf8").trim()}: ${failure}`, {
        reason: "ShimDeleteFailed",
      });
    }
    const { pid, exitStatus, exitedAt } = shim.DeleteResponse.decode(output);
    return { pid, exitStatus, exitedAt: unixNanoFromTimestamp(exitedAt) };
  }

  /**
   * A shim from 2.3 on reads its standard input as another message, which the bytes of options decode as too, and would then take
   * their type's name for its own id. It learns the options from Create; nothing on its standard input is right for every version.
   */
  #takesOptionsOnStdin(binary: string): Promise<boolean> {
    if (binary === this.#options.own.binary) return Promise.resolve(true);
    let answer = this.#takesOptions.get(binary);
    if (answer === undefined) {
      answer = this.#spawn(binary, ["-v"], "/", { timeoutMs: launchDeadlineMs.version, together: true }).then(
        ({ output }) => {
          const version = /Version:\s+v?(\d+)\.(\d+)/.exec(output.toString("utf8"));
          if (version === null) return true;
          const [major, minor] = [Number(version[1]), Number(version[2])];
          return major < 2 || (major === 2 && minor < 3);
        },
      );
      this.#takesOptions.set(binary, answer);
    }
    return answer;
  }

  #run(
    binary: string,
    { namespace }: TaskKey,
    bundle: string,
    args: readonly string[],
    options: RunOptions,
  ): Promise<Finished> {
    const { address, publishBinary } = this.#options;
    const common = ["-namespace", namespace, "-address", address, "-publish-binary", publishBinary];
    return this.#spawn(binary, [...common, ...args], bundle, { ...options, namespace });
  }

  /** Never rejects: whatever goes wrong is the failure's text. */
  #spawn(
    binary: string,
    args: readonly string[],
    cwd: string,
    options: RunOptions & { namespace?: string },
  ): Promise<Finished> {
    const { grouping, cgroup } = this.#options.own.settings;
    const env = {
      ...process.env,
      SHIPLOG_SHIM_GROUPING: grouping,
      SHIPLOG_SHIM_CGROUP: cgroup === "container" ? cgroup : "",
      GOMAXPROCS: "2",
      MAX_SHIM_VERSION: "2",
      TTRPC_ADDRESS: this.#options.ttrpcAddress,
      GRPC_ADDRESS: this.#options.address,
      NAMESPACE: options.namespace ?? "",
    };
    // A group of its own: a signal to the daemon's group must not reach the shim.
    const child = spawn(binary, args, {
      cwd,
      env,
      detached: true,
      stdio: [options.stdin === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    });
    const output = new Kept();
    const errors = options.together ? output : new Kept();
    child.stdout!.on("data", (chunk: Buffer) => output.add(chunk));
    child.stderr!.on("data", (chunk: Buffer) => errors.add(chunk));
    // A shim that does not read its standard input has closed it: the exit status tells.
    child.stdin?.on("error", () => {});
    child.stdin?.end(options.stdin);
    return new Promise((resolve) => {
      let late: string | undefined;
      const finish = (failure: string | undefined) => {
        clearTimeout(timer);
        resolve({ output: output.bytes(), errors: errors.bytes(), failure });
      };
      let timer = setTimeout(() => {
        late = `no answer in ${options.timeoutMs} ms`;
        if (child.pid !== undefined) killGroup(child.pid);
        child.stdout!.destroy();
        child.stderr!.destroy();
        // A process that waits for a disk is not ended by a signal, and is left behind.
        timer = setTimeout(finish, killedMsMax, late);
      }, options.timeoutMs);
      child.on("error", (error) => finish(error.message));
      child.on("close", (code, signal) => {
        finish(late ?? (code === 0 ? undefined : signal === null ? `exit status ${code}` : `signal: ${signal}`));
      });
    });
  }
}

interface RunOptions {
  readonly timeoutMs: number;
  readonly stdin?: Uint8Array | undefined;
  /** Standard output and error as one, in the order in which they came. */
  readonly together?: boolean;
}

/** The first bytes of an output. */
class Kept {
  readonly #chunks: Buffer[] = [];
  #length = 0;

  add(chunk: Buffer): void {
    const fitting = chunk.subarray(0, outputBytesMax - this.#length);
    if (fitting.length === 0) return;
    this.#chunks.push(fitting);
    this.#length += fitting.length;
  }

  bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }
}

/** `start`'s answer: a bare address, which means ttrpc and version 2, or JSON. @throws ShiplogError Unimplemented, Unknown */
export function endpointOf(answer: string): ShimEndpoint {
  if (!answer.startsWith("{")) {
    if (answer === "" || /\s/.test(answer)) {
      throw new ShiplogError(ErrorClass.Unknown, `start failed: not an address: ${JSON.stringify(answer)}`, {
        reason: "ShimStartFailed",
      });
    }
    return { address: answer, version: 2 };
  }
  let parsed: { version?: unknown; address?: unknown; protocol?: unknown };
  try {
    parsed = JSON.parse(answer) as typeof parsed;
  } catch (cause) {
    throw new ShiplogError(ErrorClass.Unknown, `start failed: not an answer: ${JSON.stringify(answer)}`, {
      reason: "ShimStartFailed",
      cause,
    });
  }
  const { version, address, protocol } = parsed;
  if (
    typeof version !== "number" ||
    version < 2 ||
    version > protocolVersionMax ||
    protocol !== "ttrpc" ||
    typeof address !== "string"
  ) {
    throw new ShiplogError(ErrorClass.Unimplemented, `start failed: unsupported shim: ${answer}: not implemented`, {
      reason: "ShimUnsupported",
    });
  }
  return { address, version };
}

function anyOf({ typeUrl, value }: AnyValue): Any {
  return { typeUrl, value: Buffer.from(value) };
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended meanwhile.
  }
}
