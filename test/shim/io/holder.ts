/** Stands for a shim that is killed: opens the streams of the request in its argument, runs the container, says its pid, and stays. */
import { openStdio } from "../../../src/shim/io/mod.ts";
import { Container } from "./container.ts";

const request = JSON.parse(process.argv[2]!);
const stdio = await openStdio(request);
const container = new Container(request.bundle);
await container.run(stdio);
process.stdout.write(`${container.pid}\n`);
setInterval(() => {}, 1_000_000);
