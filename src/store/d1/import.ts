/** Runs a file of SQL statements, part by part; whoever calls puts it into one transaction. */
import { textsOf } from "./files.ts";
import type { Ingested } from "./ingest.ts";
import { Refused } from "./query.ts";
import { isBlank, namesOurs, splitStatements } from "./statements.ts";

export interface Imported {
  readonly statements: number;
  readonly rowsRead: number;
  readonly rowsWritten: number;
}

/** SQLite's own limit here, in characters: what is longer and has no end is no statement. */
const MAX_STATEMENT_CHARACTERS = 100_000;

/** Runs all whole statements of a text, and gives back what is left over. */
export type Ingest = (text: string) => Promise<Ingested>;

export async function importSql(file: ReadableStream, ingest: Ingest): Promise<Imported> {
  const sum = { statements: 0, rowsRead: 0, rowsWritten: 0 };
  const take = async (text: string): Promise<string> => {
    if (namesOurs(text)) throw new Refused("names that begin with _skep_ are reserved");
    const { remainder, rowsRead, rowsWritten, statementCount } = await ingest(text);
    sum.statements += statementCount;
    sum.rowsRead += rowsRead;
    sum.rowsWritten += rowsWritten;
    return remainder;
  };
  let rest = "";
  for await (const text of textsOf(file)) {
    rest = await take(rest + text);
    // Of comments and empty lines without end only the last line may go on.
    if (rest.length > MAX_STATEMENT_CHARACTERS && isBlank(rest)) {
      rest = rest.slice(rest.lastIndexOf("\n") + 1);
    }
    if (rest.length > MAX_STATEMENT_CHARACTERS) {
      throw new Refused("statement too long: SQLITE_TOOBIG");
    }
  }
  for (const last of splitStatements(rest)) await take(`${last};`);
  return sum;
}
