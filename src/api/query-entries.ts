/** Entries by their paths: what a client keeps under a name of its own choice, made, replaced and deleted. */
import { ShiplogError } from "../error.ts";
import type { Fact } from "../events/mod.ts";
import type { Ledger } from "../ledger.ts";
import { deciders, type EntryFact, type EntryState, quoted } from "../machines/mod.ts";
import type { Heads, RowName } from "../projections/mod.ts";
import type { query as wire } from "../wire/mod.ts";
import { anyValue } from "./any.ts";
import type { Call } from "./call.ts";
import { parsePath } from "./query-path.ts";
import { rowMessage } from "./query-row.ts";
import type { Service } from "./service.ts";

/** Bytes of a name: it stands in every record of its stream. */
export const ENTRY_NAME_BYTES_MAX = 1_024;
/** Bytes of a value with its type. For more, there is content. */
export const ENTRY_VALUE_BYTES_MAX = 1024 * 1024;

export interface EntryDependencies {
  readonly ledger: Ledger;
  readonly heads: Heads;
  /** @throws ShiplogError PermissionDenied */
  readonly allow: (call: Call, path: string, namespace: string) => void;
}

export function entryWrites({
  ledger,
  heads,
  allow,
}: EntryDependencies): Required<Pick<Service<typeof wire.QueryDefinition>, "put" | "delete">> {
  function nameOf(path: string, call: Call): RowName {
    const name = parsePath(path);
    allow(call, path, name.namespace);
    if (name.table !== "entry")
      throw invalid(`path ${quoted(path)}: ${name.table}s are not made or ended by their paths`);
    return name;
  }

  /** @throws ShiplogError FailedPrecondition */
  function check(name: RowName, path: string, { ifVersion, ifAbsent }: Condition): void {
    const version = heads.find(name)?.version;
    if (
      (ifVersion === undefined || BigInt(version ?? -1) === ifVersion) &&
      !(ifAbsent === true && version !== undefined)
    )
      return;
    const found = version === undefined ? "absent" : `at version ${version}`;
    const expected = ifVersion === undefined ? "absent" : `at version ${ifVersion}`;
    throw new ShiplogError("FailedPrecondition", `path ${quoted(path)} is ${found}, not ${expected}`, {
      reason: "EntryVersionDiffers",
    });
  }

  return {
    async put({ path, value: given, ...condition }, call) {
      const name = nameOf(path, call);
      if (name.key === "" || Buffer.byteLength(name.key) > ENTRY_NAME_BYTES_MAX) {
        throw invalid(`path ${quoted(path)}: a name has 1 to ${ENTRY_NAME_BYTES_MAX} bytes`);
      }
      if (given === undefined) throw invalid(`path ${quoted(path)}: a value is required`);
      if (given.value.length + Buffer.byteLength(given.typeUrl) > ENTRY_VALUE_BYTES_MAX) {
        throw invalid(
          `path ${quoted(path)}: a value has ${ENTRY_VALUE_BYTES_MAX} bytes at most; content can have more`,
        );
      }
      const value = anyValue(given);
      let before = heads.find(name);
      const outcome = await ledger.transact(originIn(name.namespace, call), () => {
        check(name, path, condition);
        before = heads.find(name);
        return [{ kind: "entry", key: name.key, command: { type: "PutEntry", name: name.key, value } }];
      });
      call.position = outcome.next;
      const put = outcome.facts.find(({ type }) => type === "EntryPut");
      // Without a fact, there is an entry that has this value already.
      if (put === undefined) return { row: rowMessage({ ...name, head: before! }) };
      const { version, position } = put;
      const row = deciders.entry.evolve(
        (before?.row as EntryState) ?? deciders.entry.initialState,
        put as Fact & EntryFact,
      );
      return { row: rowMessage({ ...name, head: { version, position, row } }) };
    },

    async delete({ path, ifVersion }, call) {
      const name = nameOf(path, call);
      const outcome = await ledger.transact(originIn(name.namespace, call), () => {
        if (ifVersion !== undefined) check(name, path, { ifVersion });
        return [{ kind: "entry", key: name.key, command: { type: "DeleteEntry", name: name.key } }];
      });
      call.position = outcome.next;
      return {};
    },
  };
}

type Condition = Pick<wire.PutRequest, "ifVersion" | "ifAbsent">;

const originIn = (namespace: string, { principal, request }: Call) => ({ namespace, principal, request });

function invalid(text: string): ShiplogError {
  return new ShiplogError("InvalidArgument", text, { reason: "InvalidEntry" });
}
