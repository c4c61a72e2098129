/** What the model is held against: anything that carries out commands in a namespace of its own and shows what came of them. */
import type { Answer } from "./answer.ts";
import type { Command } from "./command.ts";
import type { Dialect } from "./dialect.ts";
import type { Part, Picture } from "./picture.ts";
import type { Told } from "./told.ts";

export interface Endpoint {
  /** For reports. */
  readonly name: string;
  readonly dialect: Dialect;
  /** An empty namespace that nobody else uses. */
  open(): Promise<Session>;
}

export interface Session {
  /** What it is called there, for reports. */
  readonly namespace: string;
  perform(command: Command): Promise<Answer>;
  look(parts: readonly Part[]): Promise<Picture>;
  /** Every event of the namespace so far, in order; waits for `count` of them as long as a shim may take. */
  events(count: number): Promise<readonly Told[]>;
  /** Ends the runtime at once, whatever it is doing, and resolves when it serves again; only of those that can have faults. */
  crash?(): Promise<void>;
  /** Removes the namespace with all that is in it. */
  end(): Promise<void>;
}

/** Uses a namespace of the endpoint's and removes it. What goes wrong first is what is thrown. */
export async function inSession<T>(endpoint: Endpoint, use: (session: Session) => Promise<T>): Promise<T> {
  const session = await endpoint.open();
  let result: T;
  try {
    result = await use(session);
  } catch (error) {
    await session.end().catch(() => {});
    throw error;
  }
  await session.end();
  return result;
}
