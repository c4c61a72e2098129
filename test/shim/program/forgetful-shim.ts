/** A shim that ends soon after it was forgotten: `forgetful-shim.ts <namespace> <id> <bundle> <daemon> <events socket>`. Says where it listens. */
import { serveBundle } from "../../../src/shim/program/shim-program.ts";
import { makeTaskService, statusOf } from "../../../src/shim/service/mod.ts";

const [namespace = "", id = "", bundle = "", daemonAddress = "", ttrpcAddress = ""] = process.argv.slice(2);
const own = { options: undefined, grouping: "sandbox", joinsContainerCgroup: false, debug: false } as const;
const assignment = { namespace, id, bundle, daemonAddress, ttrpcAddress, ...own };
const { address } = await serveBundle(assignment, { makeTaskService, statusOf, forgottenMs: 500 }, process.ppid);
console.log(address);
