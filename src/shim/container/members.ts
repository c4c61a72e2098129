/**
 * What one container consists of inside: its processes, and those who make them, watch them, and tell of them. Owns putting them together, and nothing of
 * what they then do.
 */
import type { Journal } from "../journal/mod.ts";
import type { Publisher } from "../publisher/mod.ts";
import { Runc } from "../runc/mod.ts";
import { Account } from "./account.ts";
import { Endings } from "./endings.ts";
import { Execs } from "./execs.ts";
import { Exits } from "./exits.ts";
import { Losses } from "./losses.ts";
import { Maker } from "./making.ts";
import { ContainerProcess } from "./process.ts";
import type { CreateContainer } from "./request.ts";

export interface ContainerParts {
  readonly namespace: string;
  readonly journal: Journal;
  readonly publisher: Publisher;
  readonly joinsContainerCgroup: boolean;
  readonly onTrouble: (text: string, error: unknown) => void;
}

export class Members {
  readonly id: string;
  readonly bundle: string;
  readonly request: CreateContainer;
  readonly journal: Journal;
  readonly publisher: Publisher;
  readonly onTrouble: ContainerParts["onTrouble"];
  readonly runc: Runc;
  readonly maker: Maker;
  readonly exits: Exits;
  readonly losses: Losses;
  readonly account: Account;
  readonly init: ContainerProcess;
  readonly execs = new Execs();
  readonly endings: Endings;

  constructor(request: CreateContainer, parts: ContainerParts) {
    const { namespace, journal, publisher, joinsContainerCgroup, onTrouble } = parts;
    this.id = request.id;
    this.bundle = request.bundle;
    this.request = request;
    this.journal = journal;
    this.publisher = publisher;
    this.onTrouble = onTrouble;
    this.runc = new Runc(request.runtime, request.bundle, request.id, request);
    const told = { containerId: request.id, journal, publisher, onTrouble };
    this.exits = new Exits(told);
    this.losses = new Losses(told);
    this.maker = new Maker({
      namespace,
      request,
      onLoss: (execId, loss) => this.losses.lost(execId, loss),
      onTrouble,
    });
    this.account = new Account({ joins: joinsContainerCgroup, onOom: () => this.exits.oomed(), onTrouble });
    this.init = new ContainerProcess("", request.io);
    this.endings = new Endings(this);
  }

  /** Init, and the execs that are there now. */
  get processes(): ContainerProcess[] {
    return [this.init, ...this.execs.processes];
  }
}
