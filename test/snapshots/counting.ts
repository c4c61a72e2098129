/** A container that writes pairs of files without end, and the proof that a copy of its files is of one moment. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * `/data/pair-N` holds a counter and its checksum. It is filled under another name and emptied under another name, so at any one moment each
 * directory `pair-*` is whole, there is one or there are two of them, and their numbers follow each other.
 */
export const counting = `
mkdir -p /data
busybox dd if=/dev/zero of=/data/ballast bs=1M count=8 2>/dev/null
i=0
while true; do
  i=$((i+1))
  mkdir /data/next
  echo $i > /data/next/counter
  busybox sha256sum < /data/next/counter > /data/next/checksum
  busybox mv /data/next /data/pair-$i
  if [ -d /data/pair-$((i-1)) ]; then
    busybox mv /data/pair-$((i-1)) /data/gone
    rm -rf /data/gone
  fi
done`;

/** The newest counter of a consistent copy. @throws AssertionError for a copy that is of no one moment */
export function consistentCounter(data: string): number {
  const numbers = readdirSync(data)
    .flatMap((name) => /^pair-(\d+)$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
  assert.ok(numbers.length === 1 || numbers.length === 2, `pairs ${numbers.join(" ")}`);
  if (numbers.length === 2) assert.equal(numbers[1], numbers[0]! + 1);
  for (const number of numbers) {
    const [counter, checksum] = ["counter", "checksum"].map((name) =>
      readFileSync(join(data, `pair-${number}`, name), "utf8"),
    );
    assert.equal(counter, `${number}\n`);
    assert.equal(checksum, `${createHash("sha256").update(counter!).digest("hex")}  -\n`);
  }
  return numbers.at(-1)!;
}
