/**
 * The program `shiplogd`: reads the configuration, starts the daemon, and stops it on SIGTERM or SIGINT. Owns exit statuses (0 stopped
 * as asked, 1 failed, 2 not understood) and the daemon's own messages, which are JSON lines on stderr.
 */
import { readFileSync } from "node:fs";
import { pino } from "pino";
import { type Config, ConfigError, loadConfig, usage } from "../config.ts";

const version = (): string => JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")).version;

function invocation() {
  try {
    return loadConfig(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`shiplogd: ${error.message}\nTry: shiplogd --help\n`);
    process.exit(2);
  }
}

async function run(config: Config): Promise<void> {
  const logger = pino({ level: config.logLevel }, pino.destination({ fd: 2, sync: true }));
  // Help and version are answered without loading the daemon.
  const starting = import("../daemon.ts").then(({ startDaemon }) => startDaemon(config, logger, version()));
  let stopping = false;

  const stop = async (signal: string): Promise<void> => {
    // A second signal does not wait for what the first one waits for.
    if (stopping) process.exit(1);
    stopping = true;
    logger.info({ signal }, "stopping");
    try {
      await (await starting).stop();
      logger.info("stopped");
      process.exit(0);
    } catch (error) {
      logger.fatal({ err: error }, "could not stop in order");
      process.exit(1);
    }
  };
  // From the first moment on: a signal that comes while the daemon starts stops it in order once it has.
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);

  try {
    const { address } = await starting;
    logger.info({ address, root: config.root, state: config.state, version: version() }, "ready");
  } catch (error) {
    logger.fatal({ err: error }, "could not start");
    process.exit(1);
  }
}

const asked = invocation();
switch (asked.kind) {
  case "help":
    process.stdout.write(usage);
    break;
  case "version":
    process.stdout.write(`shiplogd ${version()}\n`);
    break;
  case "run":
    await run(asked.config);
    break;
  default:
    asked satisfies never;
}
