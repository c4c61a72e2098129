/**
 * A spare: a shim that is warm before there is a container for it, so that a start does not wait for a process. Its caller made it with one end of a
 * pair of sockets, and the first Adopt call that comes there makes it what `start` would have made.
 *
 * Owns the wait. It ends with its caller: when the socket closes before anything was adopted.
 */
import { execFile } from "node:child_process";
import { Socket } from "node:net";
import { nameProcess } from "../../platform/mod.ts";
import { ShimDefinition } from "../../wire/gen/shiplog/shim/v1/shim.ts";
import { cgroupOfProcess } from "../cgroup/mod.ts";
import { TtrpcServer } from "../ttrpc/mod.ts";
import { taskVersion } from "./answer.ts";
import { type Assignment, assignmentOfAdopt } from "./assignment.ts";
import { type ServiceParts, type ShimProgram, serveBundle } from "./shim-program.ts";

/** `starter` is the daemon's pid. `onServe` is told the program once this process is a shim. @throws Error of the system */
export function waitForWork(
  descriptor: number,
  parts: ServiceParts,
  starter: number,
  onServe: (program: ShimProgram) => void,
): void {
  let adopted = false;
  const server = new TtrpcServer({ statusOf: parts.statusOf });
  let work = Promise.resolve();
  server.register(ShimDefinition, {
    adopt: (request) => {
      const answer = work.then(async () => {
        if (adopted) throw new Error("this spare has been adopted already");
        const assignment = assignmentOfAdopt(request);
        const { address, program } = await serveBundle(assignment, parts, starter);
        if (program !== undefined) {
          adopted = true;
          showAssignment(assignment);
          onServe(program);
          // The reply goes out first.
          setImmediate(() => void server.close());
        }
        return { address, version: taskVersion, serves: program !== undefined };
      });
      work = answer.then(
        () => {},
        () => {},
      );
      return answer;
    },
  });
  const caller = new Socket({ fd: descriptor, readable: true, writable: true });
  caller.on("close", () => {
    if (!adopted) process.exit(0);
  });
  server.serve(caller);
  warmUp();
}

/** What the first container would otherwise wait for: the engine reads and compiles much of it only when it is used. */
function warmUp(): void {
  cgroupOfProcess(process.pid);
  // The result does not matter.
  execFile("true", { cwd: "/" }, () => {});
}

/** Daemons and people find a shim by its command line. */
function showAssignment({ namespace, id, daemonAddress }: Assignment): void {
  const program = [process.execPath, process.argv[1] ?? ""];
  nameProcess("containerd-shim", [...program, "-namespace", namespace, "-id", id, "-address", daemonAddress, "serve"]);
}
