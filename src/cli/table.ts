/**
 * Rows of text in columns that are as wide as they need to be; no line ends in spaces. Much of it was written by
 * whoever may deploy, such as messages of versions: nothing of it may move the cursor or colour the terminal.
 */
export function alignColumns(cells: readonly (readonly string[])[]): string[] {
  const rows = cells.map((row) => row.map(withoutControls));
  const widths: number[] = [];
  for (const row of rows) {
    for (const [index, cell] of row.entries()) {
      widths[index] = Math.max(widths[index] ?? 0, cell.length);
    }
  }
  return rows.map((row) =>
    row
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

/** On one line. */
export function withoutControls(text: string): string {
  return text.replace(/\p{Cc}/gu, "\u{FFFD}");
}
