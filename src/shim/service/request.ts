/** Reading what a daemon sends: ids, and options in their Any. Owns the defaults (containerd: runtime/v2/runc/container.go NewContainer). */
import { join } from "node:path";
import { CheckpointOptions, Options } from "../../wire/gen/containerd/runc/v1/options.ts";
import type {
  CheckpointTaskRequest,
  CreateTaskRequest,
  ExecProcessRequest,
} from "../../wire/gen/containerd/task/v2/shim.ts";
import type { CheckpointRequest, CreateContainer, ExecProcess } from "../container/mod.ts";
import { ShimError } from "../error.ts";
import type { CreatingRecord } from "../journal/mod.ts";
import type { RestoreFrom } from "../runc/mod.ts";
import { StatusCode } from "../ttrpc/mod.ts";

const defaultRuntime = "runc";
const defaultRoot = "/run/containerd/runc";

/** Ids become names of files (containerd: identifiers/validate.go). */
const idPattern = /^[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*$/;
const idLengthMax = 76;

interface RawAny {
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

/** @throws ShimError InvalidArgument */
function validId(id: string): string {
  if (id.length > idLengthMax || !idPattern.test(id)) {
    throw new ShimError(StatusCode.InvalidArgument, `identifier ${JSON.stringify(id)} must match ${idPattern.source}`);
  }
  return id;
}

/** The message in an Any that may be absent. @throws ShimError InvalidArgument for a message of another type */
function messageOf<T>(
  name: string,
  codec: { decode(bytes: Uint8Array): T; fromPartial(object: object): T },
  any: RawAny | undefined,
): T {
  if (any === undefined || any.typeUrl === "") return codec.fromPartial({});
  if (any.typeUrl.slice(any.typeUrl.lastIndexOf("/") + 1) !== name) {
    throw new ShimError(StatusCode.InvalidArgument, `options of type ${any.typeUrl}`);
  }
  return codec.decode(any.value);
}

const optionsOf = (any: RawAny | undefined): Options => messageOf("containerd.runc.v1.Options", Options, any);

export function createContainerOf(namespace: string, request: CreateTaskRequest): CreateContainer {
  const { bundle, rootfs, stdin, stdout, stderr, terminal, checkpoint, parentCheckpoint } = request;
  const { ioUid, ioGid, binaryName, root, systemdCgroup, ...options } = optionsOf(request.options);
  return {
    id: validId(request.id),
    bundle,
    rootfs: rootfs.map((mount) => ({
      type: mount.type,
      source: mount.source,
      target: mount.target,
      options: mount.options,
    })),
    io: { stdin, stdout, stderr, terminal },
    ioUid,
    ioGid,
    runtime: { binary: binaryName || defaultRuntime, root: join(root || defaultRoot, namespace), systemdCgroup },
    ...runcOptionsOf(options),
    checkpoint: restoreOf(bundle, checkpoint, parentCheckpoint, options.criuWorkPath),
    options:
      request.options === undefined
        ? null
        : { typeUrl: request.options.typeUrl, value: request.options.value.toString("base64") },
  };
}

/** What an earlier shim was asked for, from its journal. */
export function createContainerOfRecord(record: CreatingRecord, bundle: string): CreateContainer {
  const { containerId, rootfs, io, ioUid, ioGid, runtime, checkpoint, parentCheckpoint, options } = record;
  const given = optionsOf(
    options === null ? undefined : { typeUrl: options.typeUrl, value: Buffer.from(options.value, "base64") },
  );
  return {
    id: containerId,
    bundle,
    rootfs,
    io,
    ioUid,
    ioGid,
    runtime,
    ...runcOptionsOf(given),
    checkpoint: restoreOf(bundle, checkpoint, parentCheckpoint ?? "", given.criuWorkPath),
    options,
  };
}

function runcOptionsOf({
  noPivotRoot,
  noNewKeyring,
  criuPath,
}: Pick<Options, "noPivotRoot" | "noNewKeyring" | "criuPath">) {
  return { noPivotRoot, noNewKeyring, criuPath };
}

function restoreOf(
  bundle: string,
  imagePath: string,
  parentPath: string,
  criuWorkPath: string,
): RestoreFrom | undefined {
  return imagePath === "" ? undefined : { imagePath, parentPath, workPath: criuWorkPath || join(bundle, "work") };
}

export function execProcessOf({ execId, stdin, stdout, stderr, terminal, spec }: ExecProcessRequest): ExecProcess {
  return { execId: validId(execId), io: { stdin, stdout, stderr, terminal }, spec: spec?.value.toString("utf8") ?? "" };
}

export function checkpointOf({ path, options: any }: CheckpointTaskRequest): CheckpointRequest {
  const options = messageOf("containerd.runc.v1.CheckpointOptions", CheckpointOptions, any);
  const flags = [
    ...(options.exit ? [] : ["--leave-running"]),
    ...(options.openTcp ? ["--tcp-established"] : []),
    ...(options.externalUnixSockets ? ["--ext-unix-sk"] : []),
    ...(options.terminal ? ["--shell-job"] : []),
    ...(options.fileLocks ? ["--file-locks"] : []),
    ...options.emptyNamespaces.flatMap((namespace) => ["--empty-ns", namespace]),
    ...(options.cgroupsMode === "" ? [] : ["--manage-cgroups-mode", options.cgroupsMode]),
  ];
  return { imagePath: path, workPath: options.workPath, flags };
}
