/**
 * A command: one thing that a client asks of a runtime, as data. Its type knows how it is written, which ones there are, what the model
 * expects of it, and how it is asked over the API. Commands are total: the model says of each in every state what comes of it, refusals too.
 */
import fc from "fast-check";
import { type Arguments, Form } from "./form.ts";
import type { Part } from "./picture.ts";
import type { Prediction } from "./prediction.ts";
import type { Caller } from "./remote/caller.ts";
import type { World } from "./world.ts";

/** `A` is what `arbitrary` gives. */
export interface CommandType<A extends Arguments = Arguments> {
  readonly form: Form;
  readonly arbitrary: fc.Arbitrary<A>;
  /** How often it comes among the commands of its service. */
  readonly weight: number;
  /** What it may change, and so what is looked at after it. */
  readonly changes: readonly Part[];
  /** Two of them may run at once, and the outcome is that of one order: each takes effect at one moment. */
  readonly atomic: boolean;
  predict(world: World, given: A): Prediction | undefined;
  /** What may be left of one that is cut off in the middle, where that is not nothing and not all of it. */
  unfinished(world: World, given: A): readonly World[];
  /** Asks the runtime, and resolves with what is compared of the reply; rejects with gRPC's error. */
  call(caller: Caller, given: A): Promise<unknown>;
}

export class Command {
  readonly type: CommandType;
  readonly given: Arguments;

  constructor(type: CommandType, given: Arguments) {
    this.type = type;
    this.given = given;
  }

  toString(): string {
    return this.type.form.print(this.given);
  }

  /** As fast-check shows it in its own reports. */
  [fc.toStringMethod](): string {
    return this.toString();
  }

  /** Undefined where the command is not to be asked. */
  predict(world: World): Prediction | undefined {
    return this.type.predict(world, this.given);
  }

  unfinished(world: World): readonly World[] {
    return this.type.unfinished(world, this.given);
  }
}

interface Described<A extends Arguments> {
  readonly weight?: number;
  readonly atomic?: boolean;
  readonly changes?: readonly Part[];
  readonly with: { readonly [K in keyof A]: fc.Arbitrary<A[K]> };
  predict(world: World, given: A): Prediction | undefined;
  unfinished?(world: World, given: A): readonly World[];
  call(caller: Caller, given: A): Promise<unknown>;
}

/** A type of commands. Without `changes` it changes nothing. */
export function command<A extends Arguments>(form: string, described: Described<A>): CommandType {
  const { weight = 1, atomic = true, changes = [], with: parts, unfinished = () => [], predict, call } = described;
  const type: CommandType<A> = {
    form: new Form(form),
    arbitrary: fc.record(parts) as fc.Arbitrary<A>,
    weight,
    atomic,
    changes,
    predict,
    unfinished,
    call,
  };
  // A command carries the arguments of its own type, which nobody else looks into.
  return type as unknown as CommandType;
}

/** Commands of these types, each as often as its weight says. */
export function commandOf(types: readonly CommandType[]): fc.Arbitrary<Command> {
  return fc.oneof(
    ...types.map((type) => ({
      weight: type.weight,
      arbitrary: type.arbitrary.map((given) => new Command(type, given)),
    })),
  );
}
