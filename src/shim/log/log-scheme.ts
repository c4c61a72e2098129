/** Which URIs ask for a formatted log. Apart from the rest, so that a shim that formats nothing does not load it. */

/** What a formatter is for: Docker's files or those of Kubernetes. */
export type LogFormat = "json-file" | "cri";

/** By the protocol of a URL. */
export const formatOfProtocol: Readonly<Record<string, LogFormat>> = { "json-file:": "json-file", "cri:": "cri" };

/** Whether a log URI asks for a formatter of this room. */
export function isFormattedLog(uri: string): boolean {
  return Object.keys(formatOfProtocol).some((protocol) => uri.startsWith(`${protocol}//`));
}
