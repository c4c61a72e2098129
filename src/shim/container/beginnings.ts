/**
 * How a container's processes come to be: made by the runtime, started, or taken over from a dead shim's journal. Each is watched from its first moment,
 * written down and told, in this order; whether it may begin is not asked here.
 */
import { processStartTime, systemClock } from "../../platform/mod.ts";
import { Adoption } from "./adoption.ts";
import { createEvent, execStartedEvent, startEvent } from "./events.ts";
import type { Exec } from "./execs.ts";
import type { Members } from "./members.ts";
import { type ContainerProcess, neverRan } from "./process.ts";
import { detachRootfs, mountRootfs } from "./rootfs.ts";

/** Makes the container; its init waits to be started, or to be restored. @throws Error in containerd's words; clearFailed is due then */
export async function createInit(members: Members): Promise<void> {
  const { id, bundle, request, journal, publisher, init, maker, runc } = members;
  const { rootfs, runtime, io, ioUid, ioGid, options, checkpoint } = request;
  const from = { checkpoint: checkpoint?.imagePath ?? "", parentCheckpoint: checkpoint?.parentPath ?? "" };
  const asked = { containerId: id, runtime, io, ioUid, ioGid, rootfs, ...from, options };
  await journal.append({ type: "creating", at: now(), ...asked }, { durable: true });
  await mountRootfs(bundle, rootfs);
  if (checkpoint === undefined) {
    await maker.make(init, (making) => runc.create(making));
    await initMade(members);
  } else await journal.append({ type: "created", at: now(), pid: 0, startTime: 0 }, { durable: true });
  publisher.publish(createEvent(request, init.pid));
}

/** What a create that failed has left goes, and nobody is told of it. Never rejects. */
export async function clearFailed({ bundle, journal, onTrouble, init, runc, account }: Members): Promise<void> {
  const tried = async (what: string, action: () => Promise<unknown>) =>
    action().catch((error: unknown) => onTrouble(what, error));
  // Whatever ends now ends as if it had never been.
  init.watch?.close();
  await tried("clear away a failed create", () => runc.delete({ force: true }));
  await tried("unmount after a failed create", () => detachRootfs(bundle));
  await tried("write down a failed create", () => journal.append({ type: "deleted", at: now() }));
  account.close();
  await init.release();
}

/** Starts init, or restores it. @throws Error in containerd's words */
export async function startInit(members: Members): Promise<void> {
  const { request, init, maker, runc } = members;
  const { checkpoint } = request;
  if (checkpoint === undefined) await runc.start();
  else {
    await maker.make(init, (making) => runc.restore(making, checkpoint));
    await initMade(members);
  }
  await initStarted(members);
}

/** @throws Error in containerd's words; those who wait for it wait no longer then */
export async function startExec(members: Members, { process, spec }: Exec): Promise<void> {
  const { maker, runc } = members;
  try {
    await maker.make(process, (making) => runc.exec(process.execId, spec, making));
  } catch (error) {
    // Whoever waits for it waits for nothing (pkg/process/exec.go lets go of them too).
    process.end({ exitStatus: neverRan, exitedAt: systemClock.now() });
    throw error;
  }
  await execStarted(members, process);
}

/** Takes up what a dead shim's journal tells of. Nothing is done to the processes. @throws Error when the container was never created */
export async function takeOver(members: Members): Promise<void> {
  const { journal, init, execs, exits, losses, maker, endings } = members;
  const adoption = Adoption.of(journal, maker);
  for (const exec of adoption.execs) execs.add(exec);
  const running = adoption.takeInit(init);
  exits.resume(adoption.state, adoption.kills);
  losses.resume(adoption.state);
  if (running !== undefined) await takeOverInit(members, adoption, running.startTime);
  for (const { process, startTime } of adoption.running) {
    await maker.resume(process);
    endings.watch(process, startTime);
  }
  for (const process of adoption.leftStarting()) {
    await maker.resume(process);
    await process.holdingExit(() => execStarted(members, process));
  }
}

/** An init that the journal does not know to have ended; its end may be found out here. */
async function takeOverInit(members: Members, adoption: Adoption, startTime: number): Promise<void> {
  const { onTrouble, init, maker, runc, account, endings } = members;
  await maker.resume(init);
  if (processStartTime(init.pid) === startTime) {
    account.open(init.pid, { wasWatched: adoption.kills > 0 });
    const status = await runc
      .status()
      .catch((error: unknown) => onTrouble("ask the runtime for the container's state", error));
    if (status === "paused") {
      account.leave();
      endings.frozen = "paused";
    }
    // The earlier shim may have died after it had started init and before it could tell.
    if (init.status === "created" && (status === "running" || status === "paused")) await initStarted(members);
  }
  endings.watch(init, startTime);
}

async function initMade({ journal, init, account, endings }: Members): Promise<void> {
  const { pid } = init;
  const startTime = processStartTime(pid) ?? 0;
  account.open(pid, { wasWatched: false });
  endings.watch(init);
  await journal.append({ type: "created", at: now(), pid, startTime }, { durable: true });
}

async function initStarted({ id, journal, publisher, init }: Members): Promise<void> {
  init.status = "running";
  await journal.append({ type: "started", at: now() });
  publisher.publish(startEvent(id, init.pid));
}

async function execStarted({ id, journal, publisher, endings }: Members, process: ContainerProcess): Promise<void> {
  const { execId, pid } = process;
  const startTime = processStartTime(pid) ?? 0;
  process.status = "running";
  endings.watch(process);
  await journal.append({ type: "execStarted", at: now(), execId, pid, startTime }, { durable: true });
  publisher.publish(execStartedEvent(id, execId, pid));
}

const now = (): string => String(systemClock.now());
