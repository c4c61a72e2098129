/** Where a command writes. Owns waiting for a slow reader, so that a long log does not pile up in memory. */
import { once } from "node:events";
import { type Style, styleFor } from "./render/mod.ts";

export interface Output {
  /** Writes whole lines and waits while the reader is behind. */
  lines(...lines: readonly string[]): Promise<void>;
  readonly style: Style;
}

/** @param stream its `error` must be handled by the program, which ends when its reader goes away; lines for nobody are dropped. */
export function outputTo(stream: NodeJS.WriteStream): Output {
  return {
    style: styleFor(stream),
    async lines(...lines) {
      if (lines.length === 0 || !stream.writable) return;
      if (!stream.write(`${lines.join("\n")}\n`)) await once(stream, "drain");
    },
  };
}
