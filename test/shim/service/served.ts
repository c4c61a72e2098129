/** The task service as a process of its own, so that it can be killed: `served.ts <namespace> <events socket> <socket>`. Says "ready" when it listens. */
import { becomeSubreaper } from "../../../src/platform/mod.ts";
import { Publisher } from "../../../src/shim/publisher/mod.ts";
import { makeTaskService, statusOf } from "../../../src/shim/service/mod.ts";
import { TtrpcServer } from "../../../src/shim/ttrpc/mod.ts";

const [namespace = "", ttrpcAddress = "", path = ""] = process.argv.slice(2);
becomeSubreaper();
const publisher = new Publisher({ ttrpcAddress, namespace });
const log = (_level: string, text: string, fields?: object) => console.error(text, fields);
const service = makeTaskService({
  namespace,
  publisher,
  log,
  joinsCgroupOf: () => false,
  arrived: () => {},
  departed: () => {},
  shutDown: () => {},
});
const server = new TtrpcServer({ statusOf });
service.register(server);
await server.listen(path);
console.log("ready");
