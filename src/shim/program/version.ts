/**
 * What a shim says of itself: its version, and with `-info` the features of the OCI runtime that it would run (containerd: pkg/shim/shim.go, 2.x).
 */
import { readFileSync } from "node:fs";
import { runProgram } from "../../platform/mod.ts";
import { Options } from "../../wire/gen/containerd/runc/v1/options.ts";
import { RuntimeInfo } from "../../wire/gen/containerd/types/introspection.ts";
import { Any } from "../../wire/gen/google/protobuf/any.ts";

/** The runtime's name, as containerd's clients write it. */
export const runtimeName = "io.containerd.shiplog.v1";

const featuresType = "types.containerd.io/opencontainers/runtime-spec/1/features/Features";

function version(): string {
  const text = readFileSync(new URL("../../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

/** The lines of `-v`. */
export function versionText(program: string): string {
  return `${program}:\n  Version:  ${version()}\n  Node version: ${process.version}\n\n`;
}

/** The answer to `-info`: a RuntimeInfo. `stdin` are the options, or nothing. A runtime that cannot tell its features leaves them out. */
export async function runtimeInfo(stdin: Uint8Array): Promise<Uint8Array> {
  const options = stdin.length === 0 ? undefined : Any.decode(stdin);
  const binary = (options === undefined ? "" : Options.decode(options.value).binaryName) || "runc";
  const features = await runProgram("shim.features", binary, ["features"]).catch(() => undefined);
  return RuntimeInfo.encode({
    name: runtimeName,
    version: { version: version(), revision: "" },
    options,
    features: features === undefined ? undefined : { typeUrl: featuresType, value: Buffer.from(features) },
    annotations: {},
  }).finish();
}
