/**
 * What the program and the task service know of each other. The service is made once the program knows whom it serves; it owns the containers,
 * the program owns everything that is one for the process: command line, sockets, publisher, log, end.
 */
import type { Publisher } from "../publisher/mod.ts";
import type { TtrpcServer } from "../ttrpc/mod.ts";

export type LogLevel = "debug" | "info" | "warning" | "error";

/** Writes a line to the shim's log; never blocks, never throws. Values of `fields` are shown as text. */
export type Log = (level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>) => void;

export interface ServiceContext {
  readonly namespace: string;
  readonly publisher: Publisher;
  readonly log: Log;
  /** Whether the shim joins the cgroup of this container. */
  readonly joinsCgroupOf: (id: string) => boolean;
  /** The service has container `id` now: the shim needs no promise to stay for it. */
  readonly arrived: (id: string) => void;
  /** The service has a container less, or one that was to come did not. */
  readonly departed: () => void;
  /**
   * A Shutdown call has come for container `id`. The shim ends soon after if the service has no container left, and no start that is under way has
   * been promised its service.
   */
  readonly shutDown: (id: string) => void;
}

export interface TaskService {
  /** Registers the task service, versions 2 and 3. */
  register(server: TtrpcServer): void;
  /**
   * Takes over what a shim that has ended left in the bundle, by its journal, and publishes what the daemon has not acknowledged. Nothing to take
   * over, or taken over before, is no error. @throws JournalHeld when another shim has it, JournalCorrupt, Error
   */
  adopt(id: string, bundle: string): Promise<void>;
  /** @throws ShimError NotFound */
  reopenLogs(id: string, execId: string): Promise<void>;
  readonly hasContainers: boolean;
  /** Gives up journals and streams. Containers run on. */
  close(): Promise<void>;
}

export type MakeTaskService = (context: ServiceContext) => TaskService;
