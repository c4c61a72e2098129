/**
 * Knowing that the kernel killed a process of a container for want of memory, before its exit is told.
 *
 * Owns the watch of one container's group. What counts is the kernel's own counter of kills, which it raises before it
 * sends the signal: so at an exit a look at the counter is enough, and no notification can be too late. The notification
 * (an event descriptor on v1, a change of memory.events on v2) only says when to look while nothing exits. On v1 it comes
 * just before the kill, comes for groups whose parent ran out too, and does not come when the whole machine ran out; hence
 * it is never taken for the kill itself.
 */
import { closeSync, openSync, readdirSync, readSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type DescriptorPoll, errorCode, openEventfd, openPoll, PollEvent, takeEvents } from "../../platform/mod.ts";
import { readCounters } from "./counter-file.ts";
import type { CgroupOf } from "./location.ts";

/** On v1 the counter is looked at again so long after a notification, twice as long each time; in all about a second. */
const lookAgainMs = 1;
const looksMax = 10;

/** Room for memory.events, whose six lines come to less. */
const eventsBytesMax = 4096;

export interface OomWatch {
  /** Processes killed so far, read now. Kills that were not told yet are told before it returns: call it before an exit is told. */
  oomKills(): number;
  /** Tells nothing more. Calling it again does nothing. */
  close(): void;
}

/** What was counted: kills, and whether the group now waits in vain because killing is switched off (v1). */
interface OomCount {
  readonly kills: number;
  readonly stuck: boolean;
}

/** What memory a container's group is on: `undefined` when memory is not accounted. */
function memoryDirectoryOf(cgroup: CgroupOf): string | undefined {
  return cgroup.version === 1 ? cgroup.directories.memory : cgroup.directory;
}

/** Processes of the container that were killed so far; zero when the group is gone. */
export function oomKillsOf(cgroup: CgroupOf): number {
  const directory = memoryDirectoryOf(cgroup);
  return directory === undefined ? 0 : (count(cgroup.version, directory)?.kills ?? 0);
}

/**
 * Watches from now on, and tells `onOom` when processes were killed, once for all that are found at one look; kills beyond
 * `told` that happened before are told in the next turn of the loop. On v1 a group in which killing is switched off is told each time it
 * runs out. When the group is removed the watch closes itself. @throws Error when memory is not accounted; node:fs errors
 */
export function watchOom(cgroup: CgroupOf, onOom: () => void, { told = 0 }: { told?: number } = {}): OomWatch {
  const directory = memoryDirectoryOf(cgroup);
  if (directory === undefined) throw new Error("watch for kills: the memory of the group is not accounted");
  return new Watch(cgroup.version, directory, onOom, told);
}

class Watch implements OomWatch {
  readonly #version: 1 | 2;
  readonly #directory: string;
  readonly #onOom: () => void;
  readonly #descriptor: number;
  readonly #poll: DescriptorPoll;
  #told: number;
  /** The kills at the last look, for when the group is gone. */
  #kills = 0;
  #isClosed = false;
  #lookingAgain: NodeJS.Timeout | undefined;
  readonly #firstLook: NodeJS.Immediate;

  constructor(version: 1 | 2, directory: string, onOom: () => void, told: number) {
    this.#version = version;
    this.#directory = directory;
    this.#onOom = onOom;
    this.#told = told;
    this.#descriptor = version === 1 ? openNotifications(directory) : openSync(join(directory, "memory.events"), "r");
    try {
      this.#poll = openPoll(this.#descriptor, () => this.#onNotification());
      this.#poll.start(version === 1 ? PollEvent.Readable : PollEvent.Priority);
    } catch (cause) {
      closeSync(this.#descriptor);
      throw cause;
    }
    this.#firstLook = setImmediate(() => this.oomKills());
  }

  oomKills(): number {
    const now = this.#isClosed ? undefined : count(this.#version, this.#directory);
    if (now === undefined) return this.#kills;
    this.#kills = now.kills;
    if (now.kills > this.#told) {
      this.#told = now.kills;
      this.#onOom();
    }
    return now.kills;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#lookingAgain);
    clearImmediate(this.#firstLook);
    this.#poll.close();
    closeSync(this.#descriptor);
  }

  #onNotification(): void {
    if (this.#isClosed) return;
    this.#settleNotification();
    const now = count(this.#version, this.#directory);
    // Removing a group raises its notifications one last time.
    if (now === undefined) this.close();
    else if (now.stuck) this.#onOom();
    else this.#lookUntilKilled(lookAgainMs);
  }

  #lookUntilKilled(waitMs: number): void {
    clearTimeout(this.#lookingAgain);
    const before = this.#told;
    this.oomKills();
    if (this.#isClosed || this.#version === 2 || this.#told > before || waitMs >= lookAgainMs * 2 ** looksMax) return;
    this.#lookingAgain = setTimeout(() => this.#lookUntilKilled(waitMs * 2), waitMs).unref();
  }

  /** Makes the descriptor quiet until the next change. */
  #settleNotification(): void {
    if (this.#version === 1) {
      takeEvents(this.#descriptor);
      return;
    }
    try {
      readSync(this.#descriptor, Buffer.alloc(eventsBytesMax), 0, eventsBytesMax, 0);
    } catch {
      // ENODEV: the group is gone, which the look at it will show.
    }
  }
}

/** Asks the kernel to raise an event descriptor whenever the group runs out of memory (cgroup-v1/memory, section 10). */
function openNotifications(directory: string): number {
  const event = openEventfd();
  try {
    const control = openSync(join(directory, "memory.oom_control"), "r");
    try {
      writeFileSync(join(directory, "cgroup.event_control"), `${event} ${control}`);
    } finally {
      closeSync(control);
    }
    return event;
  } catch (cause) {
    closeSync(event);
    throw cause;
  }
}

/** `undefined` when the group is gone. */
function count(version: 1 | 2, directory: string): OomCount | undefined {
  if (version === 2) {
    const events = readCounters(join(directory, "memory.events"));
    return events && { kills: Number(events.get("oom_kill")), stuck: false };
  }
  const control = readCounters(join(directory, "memory.oom_control"));
  if (control === undefined) return undefined;
  const stuck = control.get("oom_kill_disable") === 1n && control.get("under_oom") === 1n;
  return { kills: Number(control.get("oom_kill")) + killsBelow(directory), stuck };
}

/** On v1 a kill is counted in the victim's own group alone, which may be one that the container made. */
function killsBelow(directory: string): number {
  let kills = 0;
  for (const name of groupsIn(directory)) kills += count(1, join(directory, name))?.kills ?? 0;
  return kills;
}

/** The groups right below one; none when it has just been removed. */
function groupsIn(directory: string): string[] {
  try {
    const entries = readdirSync(directory, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch (thrown) {
    if (errorCode(thrown) === "ENOENT") return [];
    throw thrown;
  }
}
