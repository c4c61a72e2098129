/** Pseudo terminals, seen from the master's side. Owns only the calls that nothing else has. */
import { kernelCall, libc } from "./kernel.ts";
import { type OperationHook, proceed } from "./operation.ts";

const ioctl = libc.func("int ioctl(int, unsigned long, void *)");
const TIOCSWINSZ = 0x5414;
const TIOCGWINSZ = 0x5413;

/** Sets the size of the terminal, in characters; its foreground process group is told (SIGWINCH). @throws KernelError, ENOTTY */
export function setWindowSize(master: number, width: number, height: number, hook: OperationHook = proceed): void {
  const size = Buffer.alloc(8);
  size.writeUInt16LE(height, 0);
  size.writeUInt16LE(width, 2);
  kernelCall("ioctl", hook, {}, () => ioctl(master, TIOCSWINSZ, size));
}

/** The size of the terminal, in characters. @throws KernelError, ENOTTY when the descriptor is no terminal */
export function windowSize(
  master: number,
  hook: OperationHook = proceed,
): { readonly width: number; readonly height: number } {
  const size = Buffer.alloc(8);
  kernelCall("ioctl", hook, {}, () => ioctl(master, TIOCGWINSZ, size));
  return { height: size.readUInt16LE(0), width: size.readUInt16LE(2) };
}
