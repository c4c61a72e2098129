/**
 * One run of the OCI runtime's command to its end.
 *
 * Owns the process and its deadline: a runtime that hangs is killed with everything that it started in its own group, and holds up nobody but its
 * caller. It must never give the runtime a pipe of Node's as a container's stream: that is a socket, which a container cannot open by name.
 */
import { type ChildProcess, type IOType, spawn } from "node:child_process";

/** Bytes of what the runtime says that are kept. */
const outputBytesMax = 1024 * 1024;

/** How long what the runtime has said may take to arrive after its end: something that it left running may hold its streams. */
const lastOutputMsMax = 500;

export type Streams = readonly [number | IOType, number | IOType, number | IOType];

/** Where nothing is a container's: the output is the runtime's answer. */
const answered: Streams = ["ignore", "pipe", "pipe"];

/** The runtime ended badly, or could not be run. */
export class RuncFailed extends Error {
  override readonly name = "RuncFailed";
}

/** Resolves with standard output once the command has ended with 0. @throws RuncFailed in the words of containerd's shim */
export function runCommand(
  binary: string,
  args: readonly string[],
  deadlineMs: number,
  streams: Streams = answered,
): Promise<string> {
  return new Promise((resolve, reject) => {
    // Its own process group: what it starts ends with it when its time is up.
    const child = spawn(binary, args, { stdio: [...streams], detached: true, env: environment() });
    const said = new Said(child);
    let timer: NodeJS.Timeout;
    let isSettled = false;
    const settle = (failure?: RuncFailed) => {
      isSettled = true;
      clearTimeout(timer);
      said.close();
      if (failure === undefined) resolve(said.output());
      else reject(failure);
    };
    const fail = (why: string, cause?: unknown) => {
      const text = said.all();
      settle(
        new RuncFailed(`${binary} did not terminate successfully: ${why}${text === "" ? "" : `: ${text}`}`, { cause }),
      );
    };
    const late = () => {
      killGroup(child.pid);
      fail(`no end in ${deadlineMs} ms`);
    };
    const ended = () => {
      const { exitCode, signalCode } = child;
      if (exitCode === 0) settle();
      else fail(signalCode === null ? `exit status ${exitCode}` : `signal: ${signalCode}`);
    };
    timer = setTimeout(late, deadlineMs);
    child.once("error", (cause) => settle(new RuncFailed(notRun(binary, cause), { cause })));
    child.once("exit", () => {
      if (isSettled) return;
      clearTimeout(timer);
      timer = setTimeout(ended, lastOutputMsMax);
    });
    child.once("close", () => {
      if (!isSettled) ended();
    });
  });
}

/** What a command has said on the streams that were not given away. */
class Said {
  readonly #child: ChildProcess;
  readonly #output: Buffer[] = [];
  readonly #errors: Buffer[] = [];
  #kept = 0;

  constructor(child: ChildProcess) {
    this.#child = child;
    const keep = (chunks: Buffer[]) => (chunk: Buffer) => {
      this.#kept += chunk.length;
      if (this.#kept <= outputBytesMax) chunks.push(chunk);
    };
    child.stdout?.on("data", keep(this.#output));
    child.stderr?.on("data", keep(this.#errors));
  }

  output(): string {
    return Buffer.concat(this.#output).toString("utf8");
  }

  all(): string {
    return Buffer.concat([...this.#errors, ...this.#output]).toString("utf8");
  }

  close(): void {
    this.#child.stdout?.destroy();
    this.#child.stderr?.destroy();
  }
}

/** NOTIFY_SOCKET would make the runtime speak to the daemon's systemd; what is meant for this program's own Node is not for its hooks. */
function environment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => name !== "NOTIFY_SOCKET" && !name.startsWith("NODE_"));
  return Object.fromEntries(kept);
}

/** As Go's os/exec says it; clients look for these words. */
function notRun(binary: string, cause: Error): string {
  const { code } = cause as NodeJS.ErrnoException;
  if (!binary.includes("/") && code === "ENOENT")
    return `exec: ${JSON.stringify(binary)}: executable file not found in $PATH`;
  const why = code === "ENOENT" ? "no such file or directory" : code === "EACCES" ? "permission denied" : cause.message;
  return `fork/exec ${binary}: ${why}`;
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended meanwhile.
  }
}
