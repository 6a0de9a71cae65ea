/**
 * Tidies up behind releases: old versions, uploads that were never finished, blobs that nothing names.
 * Called by the Registry's alarm, never on the way of a deploy. What an edge may just be fetching stays:
 * a version goes only when it has been out of use for a minute.
 */
import { hasAssetSessions, NAMED_BY_ASSETS, sweepAssets } from "./assets.ts";
import { deleteBlob } from "./blobs.ts";

/** Of each script, beside those that get traffic. */
const KEPT_VERSIONS = 100;
const SUPERSEDED_GRACE_MS = 60_000;
/** Far longer than an upload with its trial can take. */
const UPLOAD_LIFETIME_MS = 60 * 60_000;

/** Of a script's versions those that are not in use and no longer among the newest. */
const SURPLUS = `
  SELECT versions.id FROM scripts CROSS JOIN versions ON versions.script_id = scripts.id AND versions.number <=
    (SELECT MAX(number) FROM versions AS newer WHERE newer.script_id = scripts.id) - ${KEPT_VERSIONS}
  WHERE versions.superseded_on < ?`;

/** Of unused blobs only what a crash or a refused upload left behind is younger than its versions. */
const UNUSED = `
  NOT EXISTS (SELECT 1 FROM versions WHERE versions.blob = blobs.hash)
  AND NOT EXISTS (SELECT 1 FROM uploads WHERE uploads.blob = blobs.hash)
  AND NOT ${NAMED_BY_ASSETS}`;

export class BlobKeeper {
  readonly #sql: SqlStorage;
  readonly #blobs: Fetcher;
  /** Deletions under way. A new upload of the same content waits, so that its file is not the one to go. */
  readonly #deletions = new Map<string, Promise<void>>();

  constructor(sql: SqlStorage, blobs: Fetcher) {
    this.#sql = sql;
    this.#blobs = blobs;
  }

  /** Protects a blob from the sweep until its version is released or the upload is given up. */
  async hold(versionId: string, blob: string, now: number): Promise<void> {
    // A failed deletion has been reported by the sweep; the file is about to be written anew anyway.
    await this.#deletions.get(blob)?.catch(() => undefined);
    this.#sql.exec(
      `INSERT INTO uploads (version_id, blob, created_on) VALUES (?, ?, ?)`,
      versionId,
      blob,
      now,
    );
    this.#sql.exec(`INSERT OR IGNORE INTO blobs (hash, created_on) VALUES (?, ?)`, blob, now);
  }

  /** For an upload that came to nothing. */
  release(versionId: string): void {
    this.#sql.exec(`DELETE FROM uploads WHERE version_id = ?`, versionId);
  }

  /** Returns whether there will be more to sweep later on. */
  async sweep(now: number): Promise<boolean> {
    this.#dropSurplus(now - SUPERSEDED_GRACE_MS);
    this.#sql.exec(`DELETE FROM uploads WHERE created_on < ?`, now - UPLOAD_LIFETIME_MS);
    sweepAssets(this.#sql, now, now - UPLOAD_LIFETIME_MS);
    const unused = this.#sql
      .exec<{ hash: string }>(`SELECT hash FROM blobs WHERE ${UNUSED}`)
      .toArray();
    for (const { hash } of unused) await this.#delete(hash);
    return this.#moreToCome();
  }

  /** Deployments of the past that name a version which is gone go with it. */
  #dropSurplus(supersededBefore: number): void {
    const gone = this.#sql
      .exec<{ id: string; script_id: string }>(
        `DELETE FROM versions WHERE id IN (${SURPLUS}) RETURNING id, script_id`,
        supersededBefore,
      )
      .toArray();
    for (const { id, script_id } of gone) {
      this.#sql.exec(
        `DELETE FROM deployments WHERE script_id = ? AND INSTR(shares, ?) > 0`,
        script_id,
        id,
      );
    }
  }

  async #delete(hash: string): Promise<void> {
    const [still] = this.#sql
      .exec<{ hash: string }>(`SELECT hash FROM blobs WHERE hash = ? AND ${UNUSED}`, hash)
      .toArray();
    if (!still) return;
    // The row goes first: `hold` puts it back, after the file is gone.
    this.#sql.exec(`DELETE FROM blobs WHERE hash = ?`, hash);
    const deletion = deleteBlob(this.#blobs, hash);
    this.#deletions.set(hash, deletion);
    try {
      await deletion;
    } catch (error) {
      this.#sql.exec(`INSERT OR IGNORE INTO blobs (hash, created_on) VALUES (?, 0)`, hash);
      throw error;
    } finally {
      this.#deletions.delete(hash);
    }
  }

  #moreToCome(): boolean {
    const { waiting } = this.#sql
      .exec<{ waiting: number }>(
        `SELECT EXISTS (SELECT 1 FROM uploads) OR EXISTS (${SURPLUS}) AS waiting`,
        Number.MAX_SAFE_INTEGER,
      )
      .one();
    return waiting !== 0 || hasAssetSessions(this.#sql);
  }
}
