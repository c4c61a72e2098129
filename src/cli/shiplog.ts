/**
 * The program `shiplog`: asks the daemon for its log. Owns the flags that every command shares, the choice of the command, and how
 * failures become messages and exit statuses.
 */
import { type ServiceError, status } from "@grpc/grpc-js";
import { type ParseArgsOptionsConfig, parseArgs } from "node:util";
import { CollectionDefinition } from "../wire/gen/shiplog/collection/v1/collection.ts";
import { LogDefinition } from "../wire/gen/shiplog/events/v1/log.ts";
import { QueryDefinition } from "../wire/gen/shiplog/query/v1/query.ts";
import { connect } from "./client.ts";
import { type Command, ExitStatus, Refusal, UsageError } from "./command.ts";
import { commands } from "./commands/mod.ts";
import { outputTo } from "./output.ts";

const addressDefault = "/run/shiplog/shiplog.sock";

const sharedFlags = {
  address: { type: "string", short: "a" },
  namespace: { type: "string", short: "n" },
  json: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

const sharedHelp = `
Flags of every command:
  -a, --address SOCKET    the daemon's socket   ($CONTAINERD_ADDRESS, or ${addressDefault})
  -n, --namespace NAME    the namespace         ($CONTAINERD_NAMESPACE, or default)
      --json              one JSON object a line: bytes are base64, times UTC, integers that JSON would round strings
  -h, --help              explain the command
`;

const help = `shiplog: what happened to your containers, from the daemon's log

Usage: shiplog [flags] COMMAND

${commands.map(({ name, summary }) => `  ${name.padEnd(10)}${summary}`).join("\n")}
${sharedHelp}
The exit status is 1 when the answer is a problem, 2 when the command line was not understood.
`;

/** The command that the line names; flags may stand before and after it. */
function chosen(argv: readonly string[]): Command | undefined {
  const options: ParseArgsOptionsConfig = Object.assign({}, ...commands.map(({ flags }) => flags), sharedFlags);
  const name = parseArgs({ args: [...argv], options, strict: false, allowPositionals: true }).positionals[0];
  const command = commands.find((known) => known.name === name);
  if (name !== undefined && command === undefined) {
    throw new UsageError(`there is no command "${name}"; commands are ${commands.map((known) => known.name).join(", ")}`);
  }
  return command;
}

async function main(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const command = chosen(argv);
  const { values, positionals } = parseStrictly(argv, command?.flags ?? {});
  const out = outputTo(process.stdout);
  if (values.help === true) {
    await out.lines((command === undefined ? help : command.help + sharedHelp).trimEnd());
    return ExitStatus.fine;
  }
  if (command === undefined) throw new UsageError("say which command");

  const address = String(values.address ?? (env.CONTAINERD_ADDRESS || addressDefault));
  const namespaceFlag = values.namespace === undefined ? undefined : String(values.namespace);
  if (namespaceFlag === "") throw new UsageError("--namespace must not be empty");
  const connection = connect(address);
  try {
    const context = {
      out,
      json: values.json === true,
      namespace: namespaceFlag ?? (env.CONTAINERD_NAMESPACE || "default"),
      namespaceFlag,
      log: connection.service(LogDefinition),
      collection: connection.service(CollectionDefinition),
      query: connection.service(QueryDefinition),
      service: connection.service,
    };
    return await command.run(context, values, positionals.slice(1));
  } catch (error) {
    if (isServiceError(error)) throw new Refusal(explain(error, address), { cause: error });
    throw error;
  } finally {
    connection.close();
  }
}

function parseStrictly(argv: readonly string[], flags: ParseArgsOptionsConfig) {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      options: { ...flags, ...sharedFlags },
      strict: true,
      allowPositionals: true,
    });
    return { values: values as Readonly<Record<string, string | boolean | undefined>>, positionals };
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
}

const isServiceError = (error: unknown): error is ServiceError =>
  error instanceof Error && typeof (error as Partial<ServiceError>).code === "number" && "details" in error;

function explain(error: ServiceError, address: string): string {
  if (error.code === status.UNAVAILABLE) return `cannot reach shiplogd at ${address}: ${obstacle(error.details)}`;
  if (error.code === status.UNIMPLEMENTED) return `the daemon at ${address} does not serve this; is it shiplogd? (${error.details})`;
  return error.details;
}

/** grpc-js wraps the system's own words. */
const obstacle = (details: string): string => /Last error: (?:Error: )?(.*?)\. Resolution note/.exec(details)?.[1] ?? details;

// A reader that has seen enough, such as `head`, is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  process.exit(error.code === "EPIPE" ? ExitStatus.fine : ExitStatus.problem);
});

try {
  process.exitCode = await main(process.argv.slice(2), process.env);
} catch (error) {
  const usage = error instanceof UsageError;
  const expected = usage || error instanceof Refusal;
  process.stderr.write(`shiplog: ${expected ? error.message : ((error as Error).stack ?? String(error))}\n`);
  if (usage) process.stderr.write("Try: shiplog --help\n");
  process.exitCode = usage ? ExitStatus.usage : ExitStatus.problem;
}
