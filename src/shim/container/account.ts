/**
 * A container's control groups as the shim uses them: what it consumed, what the kernel killed for want of memory, and the shim's own place in them.
 *
 * Owns the watch and the membership. Its failures are told and go no further: a container runs without them.
 */
import {
  type CgroupOf,
  cgroupOfProcess,
  collectStats,
  ContainerMembership,
  oomKillsOf,
  type OomWatch,
  watchOom,
} from "../cgroup/mod.ts";
import { ShimError } from "../error.ts";
import { StatusCode } from "../ttrpc/mod.ts";

export interface AccountParts {
  readonly joins: boolean;
  readonly onOom: () => void;
  readonly onTrouble: (text: string, error: unknown) => void;
}

export class Account {
  readonly #parts: AccountParts;
  #cgroup: CgroupOf | undefined;
  #watch: OomWatch | undefined;
  #membership: ContainerMembership | undefined;

  constructor(parts: AccountParts) {
    this.#parts = parts;
  }

  /**
   * Finds the groups by a process of the container, watches them and joins them if asked to. `wasWatched`: what was counted so far has been told;
   * without it all kills are told.
   */
  open(pid: number, { wasWatched }: { readonly wasWatched: boolean }): void {
    const { joins, onOom } = this.#parts;
    this.#quietly("watch for kills for want of memory", () => {
      this.#cgroup = cgroupOfProcess(pid);
      this.#watch = watchOom(this.#cgroup, onOom, { told: wasWatched ? oomKillsOf(this.#cgroup) : 0 });
    });
    const cgroup = this.#cgroup;
    if (!joins || cgroup === undefined) return;
    this.#quietly("join the container's cgroup", () => {
      this.#membership = new ContainerMembership(cgroup);
      this.#membership.join();
    });
  }

  /** Kills that have not been told of are told before it returns. */
  look(): void {
    this.#quietly("look for kills for want of memory", () => this.#watch?.oomKills());
  }

  /** Before what is done to all of the container's processes. */
  leave(): void {
    this.#quietly("leave the container's cgroup", () => this.#membership?.leave());
  }

  join(): void {
    this.#quietly("join the container's cgroup", () => this.#membership?.join());
  }

  async aside<T>(action: () => Promise<T>): Promise<T> {
    return this.#membership === undefined ? action() : this.#membership.aside(action);
  }

  /** @throws ShimError NotFound */
  async stats(): Promise<{ readonly typeUrl: string; readonly value: Uint8Array }> {
    if (this.#cgroup === undefined) throw new ShimError(StatusCode.NotFound, "cgroup does not exist");
    return collectStats(this.#cgroup);
  }

  close(): void {
    this.#watch?.close();
    this.leave();
  }

  #quietly(what: string, act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#parts.onTrouble(what, error);
    }
  }
}
