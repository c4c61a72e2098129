/**
 * A spare: a shim that is warm before there is a container for it, so that a start does not wait for a process. It listens at a socket that only its
 * caller knows, and the first Adopt call makes it what `start` would have made.
 *
 * Owns the wait. It ends with its caller: when the connection that came first closes before anything was adopted, or when none comes.
 */
import { nameProcess, type Peer, peerOf } from "../../platform/mod.ts";
import { ShimDefinition } from "../../wire/gen/shiplog/shim/v1/shim.ts";
import { TtrpcServer } from "../ttrpc/mod.ts";
import { taskVersion } from "./answer.ts";
import { type Assignment, assignmentOfAdopt } from "./assignment.ts";
import { listenPrivately } from "./claim.ts";
import { type ServiceParts, type ShimProgram, serveBundle } from "./shim-program.ts";

/** How long a spare waits for its caller to connect. */
const callerMsMax = 30_000;

/** `starter` is the daemon's pid. `onServe` is told the program once this process is a shim. Resolves when the spare listens. @throws Error of the system */
export async function waitForWork(socket: string, parts: ServiceParts, starter: number, onServe: (program: ShimProgram) => void): Promise<void> {
  let adopted = false;
  const end = () => {
    if (adopted) return;
    void server.close().finally(() => process.exit(0));
  };
  const callerMissing = setTimeout(end, callerMsMax);
  const server = new TtrpcServer({
    sameUserOnly: true,
    peerOf: (connection): Peer => {
      clearTimeout(callerMissing);
      connection.on("close", end);
      return peerOf(connection);
    },
    statusOf: parts.statusOf,
  });
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
  await listenPrivately(server, socket);
}

/** Daemons and people find a shim by its command line. */
function showAssignment({ namespace, id, daemonAddress }: Assignment): void {
  const program = [process.execPath, process.argv[1] ?? ""];
  nameProcess("containerd-shim", [...program, "-namespace", namespace, "-id", id, "-address", daemonAddress, "serve"]);
}
