/** Of workerd with `experimental`: runs all whole statements of a text. */
interface SqlStorage {
  ingest(sql: string): {
    readonly remainder: string;
    readonly rowsRead: number;
    readonly rowsWritten: number;
    readonly statementCount: number;
  };
}
