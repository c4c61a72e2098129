/**
 * Reading a stream's URI as containerd's shim does (Go's net/url, pkg/process/io.go): by its scheme, with a path whose escapes are taken
 * back and whose dots stay. The platform's own URL would drop dots and treat `file:` in its own way. Owns no file.
 */

/** `scheme` is empty for a bare path, whose `path` is then the text itself. */
export interface StdioUri {
  readonly scheme: string;
  readonly path: string;
  readonly query: URLSearchParams;
}

/** @throws URIError with Go's words for an escape that is none */
export function parseStdioUri(text: string): StdioUri {
  const match = /^([a-zA-Z][a-zA-Z0-9+.-]*):([^?#]*)(?:\?([^#]*))?/.exec(text);
  if (match === null) return { scheme: "", path: text, query: new URLSearchParams() };
  const [, scheme = "", hierarchy = "", query = ""] = match;
  // `//host/path`: the host of a URI that names a file on this machine says nothing.
  const escaped = hierarchy.startsWith("//") ? hierarchy.slice(2).replace(/^[^/]*/, "") : hierarchy;
  return { scheme: scheme.toLowerCase(), path: unescaped(escaped, text), query: new URLSearchParams(query) };
}

function unescaped(escaped: string, text: string): string {
  try {
    return decodeURIComponent(escaped);
  } catch (cause) {
    const wrong = /%(?![0-9a-fA-F]{2}).{0,2}/.exec(escaped)?.[0] ?? "%";
    const message = `unable to parse stdout uri: parse "${text}": invalid URL escape "${wrong}"`;
    throw new URIError(message, { cause });
  }
}
