/** What a shim is for: processes' streams, resources and ends, whatever becomes of their clients and of the daemon. */
import { absence } from "./absence.ts";
import { resources } from "./resources.ts";
import { plain, type Script, type Setting, type Step } from "./step.ts";
import { streams } from "./streams.ts";

export const supervision: Script = {
  name: "supervision",
  steps,
  // Of those that end while the daemon is away.
  untold: /\/tasks\/exit .*"(container_)?id":"(leaver|guest)-/,
};

function steps(setting: Setting): readonly Step[] {
  return [
    plain("images", "import", setting.image.archive),
    ...streams(setting),
    ...resources(setting),
    ...absence(setting, "SIGTERM"),
    ...absence(setting, "SIGKILL"),
    plain("tasks", "ls"),
    plain("containers", "ls"),
    plain("snapshots", "ls"),
  ];
}
