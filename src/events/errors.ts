/**
 * Every error that the log itself gives; the `reason` of each is its class's name. Errors of the kernel are not here: they arrive as the
 * `cause` of one of these, or, from a failed read, as they are.
 */
import { ShiplogError } from "../error.ts";
import type { Position } from "./fact.ts";

/** Stored bytes are not what was written. Everything before `position` can still be read. */
export class LogCorruption extends ShiplogError {
  readonly file: string;
  /** Where in the file the first frame (or header) begins that cannot be trusted. */
  readonly offset: number;
  /** The first position that cannot be read. */
  readonly position: Position;
  /** What was found there, in words. */
  readonly finding: string;

  constructor(file: string, offset: number, position: Position, finding: string, options?: ErrorOptions) {
    super("DataLoss", `${file} is damaged at offset ${offset}, position ${position}: ${finding}`, {
      ...options,
      reason: "LogCorruption",
    });
    this.file = file;
    this.offset = offset;
    this.position = position;
    this.finding = finding;
  }
}

/** The log is damaged, so it takes no appends until it has been repaired. The damage is the `cause`. */
export class LogDamaged extends ShiplogError {
  readonly damage: LogCorruption;

  constructor(damage: LogCorruption) {
    super("FailedPrecondition", `append refused, the log wants repair: ${damage.message}`, {
      cause: damage,
      reason: "LogDamaged",
    });
    this.damage = damage;
  }
}

/** A write or a sync failed; what the file holds now is unknown until the log is opened again. The failure is the `cause`. */
export class LogFailed extends ShiplogError {
  constructor(cause: unknown) {
    super("Unavailable", `the log stopped: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
      reason: "LogFailed",
    });
  }
}

export class LogClosed extends ShiplogError {
  constructor() {
    super("Unavailable", "the log is closed", { reason: "LogClosed" });
  }
}

/** Another process has this log open. */
export class LogLocked extends ShiplogError {
  readonly file: string;

  constructor(file: string) {
    super("FailedPrecondition", `another process holds ${file}`, { reason: "LogLocked" });
    this.file = file;
  }
}

/** The log was written by a newer version of the format. */
export class LogFormatUnknown extends ShiplogError {
  readonly file: string;
  readonly version: number;

  constructor(file: string, version: number) {
    super("FailedPrecondition", `${file} has format version ${version}, which this version does not read`, {
      reason: "LogFormatUnknown",
    });
    this.file = file;
    this.version = version;
  }
}

/** The position was once in the log and has been cut off its beginning. */
export class PositionCompacted extends ShiplogError {
  readonly position: Position;
  readonly oldest: Position;

  constructor(position: Position, oldest: Position) {
    super("OutOfRange", `position ${position} is no longer in the log, which begins at ${oldest}`, {
      reason: "PositionCompacted",
    });
    this.position = position;
    this.oldest = oldest;
  }
}

/** The position has not been given out: whoever asks for it has read another log than this one, or a longer one. */
export class PositionAhead extends ShiplogError {
  readonly position: Position;
  readonly next: Position;

  constructor(position: Position, next: Position) {
    super("OutOfRange", `position ${position} is ahead of the log, whose next position is ${next}`, {
      reason: "PositionAhead",
    });
    this.position = position;
    this.next = next;
  }
}

/** A fact holds something that the record format has no place for. `where` is a path such as `data.labels.owner`. */
export class FactUnstorable extends ShiplogError {
  readonly where: string;

  constructor(where: string, what: string) {
    super("InvalidArgument", `cannot store ${where}: ${what}`, { reason: "FactUnstorable" });
    this.where = where;
  }
}

/** An append is all or nothing, so it has to fit one frame. */
export class AppendTooLarge extends ShiplogError {
  readonly bytes: number;
  readonly bytesMax: number;

  constructor(bytes: number, bytesMax: number) {
    super("ResourceExhausted", `an append of ${bytes} bytes is over the ${bytesMax} that one frame holds`, {
      reason: "AppendTooLarge",
    });
    this.bytes = bytes;
    this.bytesMax = bytesMax;
  }
}

/** Payloads that are too long for their records and not stored yet: `await log.attach(needed)`, decide again, append again. */
export class AttachmentNeeded extends ShiplogError {
  /** Encoded payloads by digest (`sha256:` and 64 hex digits). */
  readonly payloads: ReadonlyMap<string, Uint8Array>;

  constructor(payloads: ReadonlyMap<string, Uint8Array>) {
    super("Aborted", `to be attached first: ${[...payloads.keys()].join(", ")}`, { reason: "AttachmentNeeded" });
    this.payloads = payloads;
  }
}

export class AttachmentTooLarge extends ShiplogError {
  readonly bytes: number;
  readonly bytesMax: number;

  constructor(bytes: number, bytesMax: number) {
    super("ResourceExhausted", `a payload of ${bytes} bytes is over the ${bytesMax} that an attachment holds`, {
      reason: "AttachmentTooLarge",
    });
    this.bytes = bytes;
    this.bytesMax = bytesMax;
  }
}

/** A fact's payload is not in its file, or is not what was written there. */
export class AttachmentDamaged extends ShiplogError {
  readonly digest: string;
  readonly file: string;
  /** What was found there, in words. */
  readonly finding: string;

  constructor(digest: string, file: string, finding: string, options?: ErrorOptions) {
    super("DataLoss", `attachment ${digest} in ${file}: ${finding}`, { ...options, reason: "AttachmentDamaged" });
    this.digest = digest;
    this.file = file;
    this.finding = finding;
  }
}
