/** A runtime behind a unix socket. Owns the connection, the subscription to its events, and the names of the namespaces that it makes. */
import { randomBytes } from "node:crypto";
import { connect as connectTo } from "../../cli/client.ts";
import { version } from "../../wire/mod.ts";
import { type Answer, refusalOf } from "../answer.ts";
import type { Command } from "../command.ts";
import { ContentNames } from "../content-names.ts";
import { type Dialect, dialectOf } from "../dialect.ts";
import type { Endpoint, Session } from "../endpoint.ts";
import { type Part, type Picture, parts } from "../picture.ts";
import { told } from "../told.ts";
import { here } from "../world.ts";
import { Caller } from "./caller.ts";
import { cleanUp } from "./clean-up.ts";
import { look } from "./look.ts";
import { type Faults, Link } from "./link.ts";

export interface RemoteOptions {
  /** Path of the unix socket that serves containerd's API. */
  readonly address: string;
  /** Where the runtime's version tells no known one. */
  readonly dialect?: Dialect;
  /** For reports; the dialect's name where it is left out. */
  readonly name?: string;
  /** A directory on the runtime's machine with a static `/bin/sleep`: containers run in it. Without it no task is asked for. */
  readonly rootfs?: string;
  /** For sequences with faults in them. */
  readonly faults?: Faults;
}

export interface RemoteEndpoint extends Endpoint {
  close(): Promise<void>;
}

/** @throws when nothing answers there, or its dialect is unknown and none is named */
export async function connect({ address, rootfs, faults, ...named }: RemoteOptions): Promise<RemoteEndpoint> {
  const dialect = named.dialect ?? (await dialectAt(address));
  const prefix = `model-${randomBytes(4).toString("hex")}-`;
  const link = await Link.open({ address, prefix, faults });
  let opened = 0;
  return {
    name: named.name ?? dialect.name,
    dialect,
    async open() {
      opened += 1;
      const namespace = `${prefix}${opened}`;
      return session(new Caller(link, namespace, new ContentNames(namespace), rootfs), link, dialect);
    },
    close: () => link.close(),
  };
}

async function dialectAt(address: string): Promise<Dialect> {
  const connection = connectTo(address);
  try {
    const said = await connection.service(version.VersionDefinition).version({});
    const dialect = dialectOf(said.version);
    if (dialect === undefined) throw new Error(`name the dialect of ${address}: its version is ${said.version}`);
    return dialect;
  } finally {
    connection.close();
  }
}

function session(caller: Caller, link: Link, dialect: Dialect): Session {
  const { namespace, names } = caller;
  const all = parts.filter((part) => part !== "tasks" || caller.rootfs !== undefined);
  /** What there is to remove, if nothing was asked since. */
  let last: Picture | undefined;
  return {
    namespace,
    perform(command) {
      last = undefined;
      return perform(caller, command);
    },
    async look(wanted: readonly Part[]) {
      const picture = await look(caller, wanted);
      if (all.every((part) => wanted.includes(part))) last = picture;
      return picture;
    },
    async events(count) {
      const seen = await link.subscription.of(namespace, count);
      return seen.map(({ topic, event }) => inModelsWords(told(topic, event, dialect)));
    },
    ...(link.faults && {
      async crash() {
        await caller.faults.killDaemon();
        await caller.connectAnew();
      },
    }),
    async end() {
      await cleanUp(caller, last ?? (await look(caller, all)));
      link.subscription.forget(namespace);
    },
  };

  function inModelsWords<T>(value: T): T {
    return JSON.parse(JSON.stringify(names.name(value)).replaceAll(namespace, here));
  }
}

async function perform(caller: Caller, command: Command): Promise<Answer> {
  try {
    const value = await command.type.call(caller, command.given);
    return value === undefined ? { code: "OK" } : { code: "OK", value };
  } catch (error) {
    return refusalOf(error);
  }
}
