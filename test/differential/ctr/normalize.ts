/** What ctr printed, without what cannot be equal on two daemons. */

export interface Own {
  /** The daemon's directory, which all of its paths are below. */
  readonly daemon: string;
  /** The script's. */
  readonly namespace: string;
  readonly registry: string;
}

/** Takes out what cannot be equal: times, ages, process ids, random keys, measured values, and each daemon's own paths. */
export function normalize(text: string, { daemon, namespace, registry }: Own): string {
  return (
    text
      .replaceAll(daemon, "DIRECTORY")
      .replaceAll(registry, "REGISTRY")
      .replaceAll(namespace, "NAMESPACE")
      // 1.6 publishes what befalls a namespace in the caller's namespace; shiplog in the one concerned, as 1.7 and later do.
      .replace(/^(\S+ \+0000 UTC|\S+ \S+ \+0000 UTC) \S+ (\/namespaces\/)/gm, "$1 CALLER $2")
      // 1.6 and 1.7 let their database's own name of a snapshot show in messages.
      .replace(/(failed to commit snapshot) NAMESPACE\/\d+\/\S+:/g, "$1:")
      .replace(/"NAMESPACE\/\d+\//g, '"')
      .replace(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( ?\+0000 UTC|Z)?/g, "TIME")
      .replace(/\d+(\.\d+)? (milli|micro)?seconds?|Less than a second|About a minute/g, "AGE")
      // A column is as wide as the longest age in it.
      .replace(/AGE[ \t]+$/gm, "AGE")
      .replace(/"seconds":\d+(,"nanos":\d+)?|seconds:\d+( +nanos:\d+)?/g, "TIMESTAMP")
      .replace(/elapsed: [\d.]+ ?m?s.*/g, "elapsed")
      .replace(/^done: \S+/gm, "done")
      .replace(/extract-\d+-\S+/g, "extract-RANDOM")
      .replace(/view-\d+-[\w-]{4}/g, "view-RANDOM")
      .replace(/containerd-mount\d+/g, "containerd-mountRANDOM")
      .replace(/(current|peak) usage: \d+/g, "$1 usage: BYTES")
      // Go's list of errors, of one.
      .replace(/1 error occurred:\s+\* (.*)\s+/g, "$1")
      .replace(/"pid":\d+/g, '"pid":PID')
      .replace(/^((?:\S+ +)?)\d+( +(?:RUNNING|STOPPED|PAUSED|CREATED|-|&ProcessDetails|exec_id:))/gm, "$1PID$2")
      .replace(/snapshotter\.v1\.\w+\/snapshots\/\w+/g, "SNAPSHOT")
      .replace(/^((?:memory|cpuacct|pids)\.\S+ +).*$/gm, "$1VALUE")
      .replace(/fifos\/\d+\//g, "fifos/RANDOM/")
      .replace(/[^\s,]+=[^\s,]+(?:,[^\s,]+=[^\s,]+)+/g, (labels) => labels.split(",").sort().join(","))
      .replace(/^(id|ID) +TIMESTAMP.*/gm, "$1 METRICS")
      .replace(/ {2,}/g, "  ")
      .replace(/\t+/g, "\t")
      .replace(/ +$/gm, "")
      .trimEnd()
  );
}
