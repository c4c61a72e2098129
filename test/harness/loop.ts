/** What tests with images of file systems need beside the project: a loop device, and the program that makes the image. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";

/** Why an image cannot be made with this program and mounted here, to be said of a test that is skipped; undefined when it can. */
export function lackingFor(program: string): string | undefined {
  if (!existsSync("/dev/loop-control")) return "there are no loop devices";
  try {
    execFileSync("sh", ["-c", `command -v ${program}`], { stdio: "ignore" });
    return undefined;
  } catch {
    return `${program} is not installed`;
  }
}
