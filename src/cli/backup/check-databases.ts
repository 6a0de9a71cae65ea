/**
 * Looks each copied database over, and takes up what its write-ahead log holds, so that it is one file: with the SQLite that
 * Node has from version 22.13 on. Elsewhere databases stay as they were copied, which is no worse: whoever opens one next
 * does the same.
 */
import { join } from "node:path";

export interface DatabaseCheck {
  readonly checked: number;
  /** What SQLite says of each that is not sound. */
  readonly damaged: readonly string[];
}

/** undefined: this Node has no SQLite. */
export async function checkDatabases(
  folder: string,
  paths: readonly string[],
): Promise<DatabaseCheck | undefined> {
  const sqlite = await import("node:sqlite").catch(() => undefined);
  if (sqlite === undefined) return undefined;
  const damaged: string[] = [];
  for (const path of paths) {
    const finding = check(new sqlite.DatabaseSync(join(folder, path)));
    if (finding !== "ok") damaged.push(`${path}: ${finding}`);
  }
  return { checked: paths.length, damaged };
}

function check(database: {
  prepare(sql: string): { get(): Record<string, unknown> | undefined };
  close(): void;
}): string {
  try {
    const row = database.prepare("PRAGMA quick_check(1)").get();
    database.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get();
    return String(row?.["quick_check"]);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    database.close();
  }
}
