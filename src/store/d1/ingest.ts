/** Of workerd, where `experimental` is on: runs all whole statements of a text, and gives back what is left over. */
export function ingest(sql: SqlStorage, text: string): Ingested {
  return (sql as IngestingSql).ingest(text);
}

export interface Ingested {
  readonly remainder: string;
  readonly rowsRead: number;
  readonly rowsWritten: number;
  readonly statementCount: number;
}

type IngestingSql = SqlStorage & { ingest(text: string): Ingested };
