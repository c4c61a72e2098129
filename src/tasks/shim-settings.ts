/** What the configuration says of our own shims. Owns the words, which are those of the shim's environment and of its Adopt call too. */

/** Which containers share a shim, and with it its end. */
export const shimGroupings = ["container", "sandbox", "namespace"] as const;

/** On whose account a shim's work is: its container's, or that of whoever started it. */
export const shimCgroups = ["container", "none"] as const;

/** Each takes some 25 MB. */
export const sparesMax = 8;

export interface ShimSettings {
  readonly grouping: (typeof shimGroupings)[number];
  readonly cgroup: (typeof shimCgroups)[number];
  /** Shims that are kept warm for containers to come. */
  readonly spares: number;
}

export const defaultShimSettings: ShimSettings = { grouping: "sandbox", cgroup: "container", spares: 1 };
