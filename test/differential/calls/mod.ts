/** Every scenario, service by service. */
import type { Scenario } from "../scenario.ts";
import * as checkpoints from "./checkpoints.ts";
import * as collection from "./collection.ts";
import * as containers from "./containers.ts";
import * as content from "./content.ts";
import * as diff from "./diff.ts";
import * as events from "./events.ts";
import * as images from "./images.ts";
import * as introspection from "./introspection.ts";
import * as leases from "./leases.ts";
import * as namespaces from "./namespaces.ts";
import * as snapshots from "./snapshots.ts";
import * as tasks from "./tasks.ts";
import * as transport from "./transport.ts";

export const scenarios: readonly Scenario[] = [
  ...namespaces.scenarios,
  ...containers.scenarios,
  ...images.scenarios,
  ...leases.scenarios,
  ...content.scenarios,
  ...snapshots.scenarios,
  ...diff.scenarios,
  ...collection.scenarios,
  ...tasks.scenarios,
  ...checkpoints.scenarios,
  ...events.scenarios,
  ...introspection.scenarios,
  ...transport.scenarios,
];
