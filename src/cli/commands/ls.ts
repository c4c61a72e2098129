import type { Row } from "../../wire/gen/shiplog/query/v1/query.ts";
import { type Command, ExitStatus, Refusal, UsageError } from "../command.ts";
import { Columns, decode, localTime, printable, queryRowJson, rowSummary, type Style } from "../render/mod.ts";

export const ls: Command = {
  name: "ls",
  summary: "list everything there is below a path",
  help: `Usage: shiplog ls [--long] [PREFIX]

Prints the path of every row of every table at or below PREFIX, in the order of namespace, table and key:

  shiplog ls /                      the whole system (what it does without PREFIX, too)
  shiplog ls /docker/images/redis   an image and what is below its name; not redis2
  shiplog ls '/kube/pods/redis*'    whatever begins so
  shiplog ls images                 within the namespace: /NAMESPACE/images

  -l, --long   version, position and time of the last change, and what the row says
  -n, --namespace  without PREFIX, show only what belongs to this namespace

All of it is as of one position. Odd characters in names are escaped as in URLs.
`,
  flags: { long: { type: "boolean", short: "l" } },

  async run({ query, out, json, namespace, namespaceFlag }, flags, operands) {
    const [operand, surplus] = operands;
    if (surplus !== undefined) throw new UsageError(`ls takes one PREFIX at most, but got "${surplus}" as well`);
    const prefix = prefixOf(operand, namespace, namespaceFlag);
    const line = json ? queryRowJson : flags.long === true ? longLines(out.style) : ({ path }: Row) => printable(path);
    let found = false;
    let pageToken = "";
    do {
      const page = await query.list({ prefix, pageToken });
      await out.lines(...page.rows.map(line));
      found ||= page.rows.length > 0;
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    if (!found && prefix !== "/") throw new Refusal(`there is nothing at or below ${printable(prefix)}`);
    return ExitStatus.fine;
  },
};

/** What does not begin with a slash is within the namespace. */
function prefixOf(operand: string | undefined, namespace: string, namespaceFlag: string | undefined): string {
  if (operand === undefined) return namespaceFlag === undefined ? "/" : `/${namespaceFlag}`;
  return operand.startsWith("/") ? operand : `/${namespace}/${operand}`;
}

/** `version  position  time  path  summary`, in columns that grow as they have to. */
function longLines(style: Style): (row: Row) => string {
  const columns = new Columns([3, 5, 29, 0]);
  return ({ version, position, updatedUnixNano, createdUnixNano, path, kind, value }) => {
    const time = updatedUnixNano ?? createdUnixNano;
    return columns.line([
      String(version).padStart(3),
      style("dim", String(position).padStart(5)),
      style("dim", time === undefined ? "" : localTime(time)),
      style("bold", printable(path)),
      rowSummary(kind, decode(value)),
    ]);
  };
}
