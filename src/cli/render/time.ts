/** Times as people and programs read them. A time is unix nanoseconds; its order means nothing, the position's does. */

const nanosecondsPerMillisecond = 1_000_000n;
const nanosecondsPerSecond = 1_000_000_000n;

const milliseconds = (time: bigint) => Number(time / nanosecondsPerMillisecond);

/** RFC 3339 in the local zone with milliseconds: `2026-11-24T06:14:02.123+01:00`. */
export function localTime(time: bigint): string {
  const date = new Date(milliseconds(time));
  const minutesEast = -date.getTimezoneOffset();
  const wall = new Date(date.getTime() + minutesEast * 60_000).toISOString().slice(0, -1);
  const two = (value: number) => String(value).padStart(2, "0");
  const ahead = Math.abs(minutesEast);
  return `${wall}${minutesEast < 0 ? "-" : "+"}${two(Math.trunc(ahead / 60))}:${two(ahead % 60)}`;
}

/** RFC 3339 in UTC with nanoseconds: `2026-11-24T05:14:02.123456789Z`. */
export function utcTime(time: bigint): string {
  const fraction = ((time % nanosecondsPerSecond) + nanosecondsPerSecond) % nanosecondsPerSecond;
  const seconds = new Date(Number((time - fraction) / nanosecondsPerMillisecond)).toISOString().slice(0, -5);
  return `${seconds}.${String(fraction).padStart(9, "0")}Z`;
}

const rfc3339 = /^(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)$/;

/** Unix nanoseconds of an RFC 3339 time, undefined when it is none. */
export function parseTime(text: string): bigint | undefined {
  const match = rfc3339.exec(text);
  if (match === null) return undefined;
  const [, second, fraction = "", zone] = match;
  const start = Date.parse(`${second!.replace(/[t ]/, "T")}${zone!.toUpperCase()}`);
  if (Number.isNaN(start)) return undefined;
  return BigInt(start) * nanosecondsPerMillisecond + BigInt(fraction.padEnd(9, "0"));
}
