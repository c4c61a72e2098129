/**
 * Where a ttrpc socket is, as shims write it and as Node wants it.
 *
 * Owns the spelling only; it looks at no file.
 */

/** Bytes of a path or abstract name that fit in sockaddr_un beside the end mark (unix(7)). */
export const socketPathBytesMax = 107;

const unixPrefix = "unix://";

/**
 * The path for `net.connect` from a shim's address: `unix:///run/x.sock` is a file; anything without the prefix is the
 * name of a Linux abstract socket, also when it begins with a slash (containerd: runtime/v2/shim/util_unix.go). A plain
 * file path, as TTRPC_ADDRESS holds, needs the prefix put before it. Throws RangeError when it is empty or too long.
 */
export function socketPathOfAddress(address: string): string {
  if (address.startsWith(unixPrefix)) return checkedLength(address.slice(unixPrefix.length), address);
  return checkedLength(address.startsWith("\0") ? address : `\0${address}`, address);
}

/**
 * The path for `net.Server.listen`: an absolute path, with or without `unix://`, or an abstract name that begins with
 * "\0". Nothing else: a mistyped path must not become an abstract socket, which every user of the machine can reach.
 */
export function socketPathToListenAt(path: string): string {
  const bare = path.startsWith(unixPrefix) ? path.slice(unixPrefix.length) : path;
  if (!bare.startsWith("/") && !bare.startsWith("\0")) {
    throw new RangeError(`listen at ${JSON.stringify(path)}: neither an absolute path nor an abstract name`);
  }
  return checkedLength(bare, path);
}

function checkedLength(socketPath: string, given: string): string {
  const bytes = Buffer.byteLength(socketPath);
  if (socketPath === "" || socketPath === "\0" || bytes > socketPathBytesMax) {
    throw new RangeError(`socket address ${JSON.stringify(given)}: ${bytes} bytes, not 1 to ${socketPathBytesMax}`);
  }
  return socketPath;
}
