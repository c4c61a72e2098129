/**
 * What a shim is told when it is to serve a bundle: by `start`'s command line, environment and standard input, or by an Adopt call. Both come to the
 * same. Owns the translation.
 */
import { Options } from "../../wire/gen/containerd/runc/v1/options.ts";
import { Any } from "../../wire/gen/google/protobuf/any.ts";
import type { AdoptRequest } from "../../wire/gen/shiplog/shim/v1/shim.ts";
import { type Grouping, groupingOf } from "./address.ts";
import type { CommandLine } from "./command-line.ts";

export interface Assignment {
  readonly namespace: string;
  readonly id: string;
  /** An absolute path. */
  readonly bundle: string;
  readonly daemonAddress: string;
  readonly ttrpcAddress: string;
  readonly options: Any | undefined;
  readonly grouping: Grouping;
  readonly joinsContainerCgroup: boolean;
  readonly debug: boolean;
}

/** The words of SHIPLOG_SHIM_CGROUP, and of an Adopt call. */
function joinsContainer(word: string | undefined): boolean {
  if (word === undefined || word === "") return false;
  if (word === "container") return true;
  throw new Error(`shim cgroup ${JSON.stringify(word)}: not "container"`);
}

/** `bundle` is the working directory, `stdin` all of standard input: the options, or nothing. @throws Error for what is missing or makes no sense */
export function assignmentOfStart(
  { namespace, id, address, debug }: CommandLine,
  environment: Readonly<Record<string, string | undefined>>,
  bundle: string,
  stdin: Uint8Array,
): Assignment {
  if (namespace === "") throw new Error("shim namespace cannot be empty");
  if (id === "") throw new Error("shim id cannot be empty");
  return {
    namespace,
    id,
    bundle,
    daemonAddress: address,
    ttrpcAddress: environment.TTRPC_ADDRESS ?? "",
    options: stdin.length === 0 ? undefined : Any.decode(stdin),
    grouping: groupingOf(environment.SHIPLOG_SHIM_GROUPING),
    joinsContainerCgroup: joinsContainer(environment.SHIPLOG_SHIM_CGROUP),
    debug,
  };
}

/** @throws Error for what is missing or makes no sense */
export function assignmentOfAdopt(request: AdoptRequest): Assignment {
  const { namespace, id, bundle, daemonAddress, ttrpcAddress, options, debug } = request;
  if (namespace === "") throw new Error("shim namespace cannot be empty");
  if (id === "") throw new Error("shim id cannot be empty");
  if (!bundle.startsWith("/")) throw new Error(`bundle ${JSON.stringify(bundle)}: not an absolute path`);
  const grouping = groupingOf(request.grouping);
  return {
    namespace,
    id,
    bundle,
    daemonAddress,
    ttrpcAddress,
    options,
    grouping,
    joinsContainerCgroup: joinsContainer(request.cgroup),
    debug,
  };
}

export function adoptRequestOf(assignment: Assignment): AdoptRequest {
  const { namespace, id, bundle, daemonAddress, ttrpcAddress, options, grouping, joinsContainerCgroup, debug } =
    assignment;
  const cgroup = joinsContainerCgroup ? "container" : "";
  return { namespace, id, bundle, daemonAddress, ttrpcAddress, options, grouping, cgroup, debug };
}

/** The cgroup that the options put the shim in; options of another runtime have none. */
export function shimCgroupOf(options: Any | undefined): string | undefined {
  if (options === undefined || !/(^|\/)containerd\.runc\.v1\.Options$/.test(options.typeUrl)) return undefined;
  const { shimCgroup } = Options.decode(options.value);
  return shimCgroup === "" ? undefined : shimCgroup;
}
