/**
 * A shim's way of telling the daemon what happened.
 */
export { Publisher, type PublisherOptions, type ShimEvent, whenDurable } from "./publisher.ts";
