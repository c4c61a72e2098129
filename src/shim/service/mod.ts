/** The task API of a shim, versions 2 and 3. */
export { statusOf } from "../error.ts";
export { makeTaskService } from "./service.ts";
