import { test } from "node:test";
import { check, connect } from "shiplog/testing";

test("the runtime does as containerd's lifecycles say", async (t) => {
  const endpoint = await connect({ address: process.env.RUNTIME_SOCKET ?? "/run/containerd/containerd.sock" });
  t.after(() => endpoint.close());
  const { sequences, commands } = await check({ endpoints: [endpoint], runs: 200 });
  t.diagnostic(`${sequences} sequences, ${commands} commands`);
});
