/** docs/configuration.md, made of the tables. */
import { COMMANDS } from "./commands.ts";
import { ofAccount, TABLE, type Row } from "./table.ts";

export function renderPage(wranglerVersion: string): string {
  return `# wrangler's configuration and commands

Every key of the configuration of wrangler ${wranglerVersion}, and every command of it that speaks with the platform.
This page is generated from \`test/configuration\` by \`vitest run -u --project process test/configuration.test.ts\`, and
each row is tried with the real wrangler. [compatibility.md](compatibility.md) has what is different beside.

## Keys of wrangler.toml and wrangler.jsonc

A key that is refused, and one without effect, stands for all that is below it. When a deploy is refused, nothing
has changed; the message names every binding and every key of the upload that is not supported.

${formatTable(
  ["key", "user Worker (`--dispatch-namespace`)", "account Worker"],
  TABLE.map(toCells),
)}

## Commands

A refused command ends with exit code 1 and a message that names what Skep does not have; a local one does not call the
platform.

${formatTable(
  ["command", "", ""],
  COMMANDS.map(({ commands, verdict, note }) => [code(commands), verdict, note]),
)}
`;
}

function toCells(row: Row): string[] {
  const { verdict, note } = ofAccount(row);
  const same = row.account === undefined;
  return [code(row.keys), `${row.verdict}: ${row.note}`, same ? "the same" : `${verdict}: ${note}`];
}

function code(names: readonly string[]): string {
  return names.map((name) => `\`${name}\``).join(", ");
}

/** As oxfmt pads it. */
function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows];
  const widths = head.map((_, column) =>
    Math.max(3, ...all.map((row) => (row[column] ?? "").length)),
  );
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const rule = widths.map((width) => "-".repeat(width));
  return [line(head), line(rule), ...rows.map(line)].join("\n");
}
