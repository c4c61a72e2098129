/** What some work gives away, one thing after another, as something to iterate over: the work waits until each has been taken. */
import { ErrorClass, ShiplogError } from "../error.ts";

/** @throws what the work throws. When the reader stops early, the work's next giving fails, and its end is waited for. */
export async function* handedOver<T>(
  work: (give: (value: T) => Promise<void>) => Promise<void>,
): AsyncGenerator<T, void, void> {
  let changed = Promise.withResolvers<void>();
  let offer: { readonly value: T; readonly taken: () => void; readonly refused: (reason: Error) => void } | undefined;
  let stopped = false;
  let end: { readonly thrown?: unknown } | undefined;
  const give = (value: T) =>
    new Promise<void>((taken, refused) => {
      if (stopped) return refused(nobodyReads());
      offer = { value, taken, refused };
      changed.resolve();
    });
  const working = work(give).then(
    () => {
      end = {};
      changed.resolve();
    },
    (thrown: unknown) => {
      end = { thrown };
      changed.resolve();
    },
  );
  try {
    while (end === undefined || offer !== undefined) {
      await changed.promise;
      changed = Promise.withResolvers<void>();
      if (offer === undefined) continue;
      const { value, taken } = offer;
      yield value;
      offer = undefined;
      taken();
    }
  } finally {
    stopped = true;
    offer?.refused(nobodyReads());
    await working;
  }
  if ("thrown" in end) throw end.thrown;
}

const nobodyReads = () => new ShiplogError(ErrorClass.Canceled, "nobody reads any more", { reason: "Canceled" });
