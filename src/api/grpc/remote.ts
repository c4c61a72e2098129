/** Calls to other processes of this machine: what they answer, and what is made of it when they do not. */
import { setTimeout as delay } from "node:timers/promises";
import { type ServiceError, status } from "@grpc/grpc-js";
import { ErrorClass, ShiplogError } from "../../error.ts";
import { classOfCode } from "../status.ts";

/** Nobody listens: how often, and how far apart, it is tried again. Together longer than a connection waits between two tries of its own. */
const attemptsMax = 20;
const retryMs = 100;

/**
 * Asks again for a while when nobody listens: the process may just be starting again. Such a call has not been sent.
 * @throws ShiplogError of the class that the process answered with; Unavailable when it did not answer in time
 */
export async function answered<T>(call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      const { code, details } = error as Partial<ServiceError>;
      if (code !== status.UNAVAILABLE || !details?.startsWith("No connection established") || attempt === attemptsMax)
        throw classified(error);
      await delay(retryMs);
    }
  }
}

function classified(error: unknown): unknown {
  const { code, details } = error as Partial<ServiceError>;
  if (typeof code !== "number") return error;
  // Only the bound on an answer, or a caller that wants none any more, cancels these calls.
  const errorClass = code === status.CANCELLED ? ErrorClass.Unavailable : classOfCode(code);
  return new ShiplogError(errorClass, details ?? String(error), { reason: "RemoteAnswer", cause: error });
}
