/** Sizes as people write them, in the syntax of docker/go-units. */
const sizePattern = /^(\d+(?:\.\d+)?) ?([kmgtp])?i?b?$/i;
const powers: Readonly<Record<string, number>> = { k: 1, m: 2, g: 3, t: 4, p: 5 };

/**
 * Bytes of a size such as `10m`, `1.5GB` or `4096`, with the units of docker/go-units: `base` is 1000 where Docker reads a file's size and
 * 1024 where it reads an amount of memory. @throws Error in go-units' words
 */
export function byteSize(text: string, base: 1000 | 1024): number {
  const [, number, unit] = sizePattern.exec(text) ?? [];
  if (number === undefined) throw new Error(`invalid size: '${text}'`);
  return Math.trunc(Number(number) * base ** (unit === undefined ? 0 : powers[unit.toLowerCase()]!));
}
