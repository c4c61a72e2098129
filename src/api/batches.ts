/** Splits a list into runs of at most `lengthMax`, for streams that answer with several entries a message. No run is empty. */
export function* batches<T>(entries: readonly T[], lengthMax: number): Generator<T[], void, void> {
  for (let start = 0; start < entries.length; start += lengthMax) yield entries.slice(start, start + lengthMax);
}
