/** The public face of restart: the monitor that brings containers to the status that their labels ask for. */
export { restartPolicies } from "./labels.ts";
export { RestartMonitor, type RestartMonitorOptions } from "./monitor.ts";
