/** Long work on the event loop, cut into slices so that nobody else waits long for a turn. */

/** How long one slice may take, in milliseconds; a request that comes during one waits that much longer. */
export const sliceMsMax = 4;

/** Steps between two looks at the clock. A step is some microseconds. */
const stepsPerLook = 64;

/** Runs the work to its end and returns what it returns; others have their turn between slices. */
export async function inSlices<T>(work: Generator<void, T, void>): Promise<T> {
  let started = performance.now();
  for (let steps = 1; ; steps += 1) {
    const step = work.next();
    if (step.done) return step.value;
    if (steps % stepsPerLook !== 0 || performance.now() - started < sliceMsMax) continue;
    await new Promise((resolve) => setImmediate(resolve));
    started = performance.now();
  }
}
