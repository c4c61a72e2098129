/**
 * The programs and libraries that no npm package carries. Owns the list of them by purpose, how each is looked for, and how Debian
 * packages bring the missing ones. A program counts as present wherever it comes from: nothing is replaced.
 */
import { accessSync, closeSync, constants, existsSync, openSync, readSync } from "node:fs";
import { delimiter, join } from "node:path";
import { attempt, run } from "./run.mjs";

/** Folders of system programs that a plain user's PATH often lacks. */
const systemFolders = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/** First file of that name in PATH or the system folders that may be executed; undefined when there is none. */
export function findProgram(name, path = process.env.PATH || "") {
  return [...path.split(delimiter), ...systemFolders]
    .map((folder) => join(folder || ".", name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** Whether an ELF program needs no dynamic loader, so that it runs alone in an empty root filesystem. Reads its program headers. */
export function isStatic(file) {
  const header = Buffer.alloc(4096);
  const fd = openSync(file, "r");
  try {
    readSync(fd, header, 0, header.length, 0);
  } finally {
    closeSync(fd);
  }
  const elf64LittleEndian = Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
  if (!header.subarray(0, 6).equals(elf64LittleEndian)) return false;
  const [start, size, count] = [Number(header.readBigUInt64LE(32)), header.readUInt16LE(54), header.readUInt16LE(56)];
  const interpreter = 3;
  for (let i = 0; i < count && start + i * size + 4 <= header.length; i++) {
    if (header.readUInt32LE(start + i * size) === interpreter) return false;
  }
  return true;
}

/** Whether a library that the binary is linked against is not found; false where `ldd` cannot tell. */
function lacksLibrary(binary, library) {
  const { output } = attempt("ldd", [binary], { env: { ...process.env, LC_ALL: "C" } });
  return output.split("\n").some((line) => line.includes(library) && line.includes("not found"));
}

const inPath = (name) => () => findProgram(name) !== undefined;

function staticBusybox() {
  const busybox = findProgram("busybox");
  return busybox !== undefined && isStatic(busybox);
}

/** What a purpose needs: `what` it is, `why`, the Debian `package` that has it, the one that has it `elsewhere`, and whether it is `present`. */
export function programsFor(purpose, node) {
  const libatomic = {
    what: "libatomic.so.1",
    why: "Node 26 is linked against it",
    package: "libatomic1",
    present: () => !lacksLibrary(node, "libatomic.so.1"),
  };
  if (purpose === "check") return [libatomic];
  const runtime = [
    { what: "runc", why: "starts containers", package: "runc", present: inPath("runc") },
    { what: "a static busybox", why: "is what the containers run", package: "busybox-static", present: staticBusybox },
  ];
  if (purpose === "demo") return [libatomic, ...runtime];
  return [
    libatomic,
    ...runtime,
    { what: "containerd", why: "tests compare shiplogd with it", package: "containerd", present: inPath("containerd") },
    {
      what: "containerd-shim-runc-v2",
      why: "tests compare our shim with it",
      package: "containerd",
      present: inPath("containerd-shim-runc-v2"),
    },
    { what: "ctr", why: "tests drive shiplogd with it", package: "containerd", present: inPath("ctr") },
    { what: "dockerd", why: "tests run it on shiplogd", package: "docker.io", present: inPath("dockerd") },
    // Debian 12 has it in docker.io; from Debian 13 on it is a package of its own.
    {
      what: "docker",
      why: "tests drive dockerd with it",
      package: "docker.io",
      elsewhere: "docker-cli",
      present: inPath("docker"),
    },
    { what: "ps", why: "dockerd lists processes with it", package: "procps", present: inPath("ps") },
    { what: "mkfs.xfs", why: "tests share files' blocks on it", package: "xfsprogs", present: inPath("mkfs.xfs") },
    {
      what: "mksquashfs",
      why: "tests mount images that it makes",
      package: "squashfs-tools",
      present: inPath("mksquashfs"),
    },
    {
      what: "mkfs.erofs",
      why: "tests mount images that it makes",
      package: "erofs-utils",
      present: inPath("mkfs.erofs"),
    },
    {
      what: "python3",
      why: "its tarfile module writes the archives that tests read",
      package: "python3",
      present: inPath("python3"),
    },
  ];
}

export const missingPrograms = (programs) => programs.filter((program) => !program.present());

/** Installs the Debian packages of the missing programs. @throws Error that names what to install by hand where that may not be. */
export function installPrograms(missing, say) {
  const packages = [...new Set(missing.map((program) => program.package))];
  const reasons = missing.map((program) => `${program.what} (${program.why})`).join(", ");
  const byHand = (obstacle) =>
    new Error(`${obstacle}. Missing: ${reasons}. Install by hand, on Debian: apt-get install ${packages.join(" ")}`);

  if (findProgram("apt-get") === undefined) throw byHand("this is no Debian system, so nothing was installed");
  const obstacle = conflict(packages);
  if (obstacle !== undefined) throw byHand(obstacle);
  const prefix = privilege();
  if (prefix === undefined) throw byHand("installing packages needs root");

  say(`Debian packages ${packages.join(", ")}: ${reasons}`);
  const install = () => aptGet(prefix, ["install", "-y", "--no-install-recommends", "--no-remove", ...packages]);
  const units = existsSync("/run/systemd/system") ? unitsOf(packages) : [];
  if (units.length > 0) {
    say(`the packages' own services stay stopped and disabled: ${units.join(", ")}`);
    run(...prefixed(prefix, ["systemctl", "mask", "--runtime", ...units]));
  }
  try {
    // Package lists may be missing or too old to name a file that still exists.
    if (install().status !== 0) {
      aptGet(prefix, ["update"]);
      const { status, output } = install();
      if (status !== 0) throw byHand(`apt-get failed:\n${output}\n`);
    }
  } finally {
    if (units.length > 0) {
      run(...prefixed(prefix, ["systemctl", "unmask", "--runtime", ...units]));
      attempt(...prefixed(prefix, ["systemctl", "disable", ...units]));
    }
  }
  const still = missingPrograms(missing);
  const elsewhere = still.filter((program) => program.elsewhere !== undefined);
  if (elsewhere.length > 0) {
    installPrograms(
      elsewhere.map(({ elsewhere: other, ...program }) => ({ ...program, package: other, elsewhere: undefined })),
      say,
    );
    if (elsewhere.length === still.length) return;
  }
  if (still.length > 0)
    throw byHand(`the packages are installed, and yet ${still.map((program) => program.what).join(", ")} is not found`);
}

/** The systemd units that these packages would start; docker.io brings containerd's along when that is missing. */
function unitsOf(packages) {
  const containerd = findProgram("containerd") === undefined ? ["containerd.service"] : [];
  if (packages.includes("docker.io")) return [...containerd, "docker.service", "docker.socket"];
  return packages.includes("containerd") ? ["containerd.service"] : [];
}

/** Debian's `busybox` and `busybox-static` exclude each other, and what is there is not replaced. */
function conflict(packages) {
  const busybox = packages.includes("busybox-static") ? findProgram("busybox") : undefined;
  return busybox && `${busybox} is there but is not static, and is not replaced`;
}

/** Words to put before a command so that it runs as root; undefined when there is no way without a password. */
function privilege() {
  if (process.getuid() === 0) return [];
  return attempt("sudo", ["-n", "true"]).status === 0 ? ["sudo", "-n"] : undefined;
}

const prefixed = (prefix, words) => {
  const [program, ...args] = [...prefix, ...words];
  return [program, args];
};

const aptGet = (prefix, args) =>
  attempt(
    ...prefixed(prefix, ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-o", "Dpkg::Use-Pty=0", ...args]),
  );
