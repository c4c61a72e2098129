/**
 * Loop devices: a file as a block device. Owns finding a free one and attaching it. A device lets go of its file by itself once nothing uses it
 * any more, so nobody has to detach it, whatever becomes of the process that attached it.
 */
import { closeSync, constants, openSync } from "node:fs";
import { errorCode } from "./errno.ts";
import { kernelCall, libc } from "./kernel.ts";
import { type OperationHook, proceed } from "./operation.ts";

const ioctlNumber = libc.func("ioctl", "int", ["int", "unsigned long", "long"]);
const ioctlBytes = libc.func("ioctl", "int", ["int", "unsigned long", "const void *"]);

/** linux/loop.h. */
const LOOP_CTL_GET_FREE = 0x4c82;
const LOOP_CONFIGURE = 0x4c0a;
const LO_FLAGS_READ_ONLY = 1;
const LO_FLAGS_AUTOCLEAR = 4;
/** struct loop_config: descriptor and block size, then struct loop_info64 (its flags at 52), then 64 bytes reserved. */
const configBytes = 304;
const flagsOffset = 8 + 52;

/** How often another process may be quicker in taking the device that was free. */
const attemptsMax = 32;

export interface LoopDevice {
  readonly path: string;
  /** To be closed once the device is mounted, or is not needed. */
  readonly descriptor: number;
}

/** Attaches a file to a free device. @throws KernelError, errors of node:fs */
export function attachLoop(file: string, isReadOnly: boolean, hook: OperationHook = proceed): LoopDevice {
  const access = isReadOnly ? constants.O_RDONLY : constants.O_RDWR;
  const control = openSync("/dev/loop-control", constants.O_RDWR);
  const backing = openSync(file, access);
  try {
    for (let attempt = 1; ; attempt++) {
      const number = kernelCall("loop_get_free", hook, { path: file }, () =>
        ioctlNumber(control, LOOP_CTL_GET_FREE, 0),
      );
      const path = `/dev/loop${number}`;
      const descriptor = openSync(path, access);
      const config = Buffer.alloc(configBytes);
      config.writeUInt32LE(backing, 0);
      config.writeUInt32LE((isReadOnly ? LO_FLAGS_READ_ONLY : 0) | LO_FLAGS_AUTOCLEAR, flagsOffset);
      try {
        kernelCall("loop_configure", hook, { path, dest: file }, () => ioctlBytes(descriptor, LOOP_CONFIGURE, config));
        return { path, descriptor };
      } catch (thrown) {
        closeSync(descriptor);
        if (errorCode(thrown) !== "EBUSY" || attempt === attemptsMax) throw thrown;
      }
    }
  } finally {
    closeSync(backing);
    closeSync(control);
  }
}
