/** Accounts, and who comes with a token. Its text is never stored: it is found by its SHA-256 (tokens.ts). */
import type { Bootstrap } from "../protocol/hub.ts";
import type { Outcome } from "./failures.ts";
import { ensureAccountNamespace, insertNamespace } from "./namespaces.ts";
import { PERMISSIONS } from "../protocol/permissions.ts";
import type { TokenRecord } from "./records.ts";
import { failure, success } from "./result.ts";
import { OPERATOR_TOKEN, TOKEN_SELECT, toToken, type TokenRow } from "./tokens.ts";

export function authenticate(sql: SqlStorage, hash: string, now: number): Outcome<TokenRecord> {
  const [row] = sql.exec<TokenRow>(`${TOKEN_SELECT} WHERE tokens.hash = ?`, hash).toArray();
  if (!row) return failure({ reason: "unknown-token" });
  if (row.expires_on !== null && row.expires_on <= now) {
    return failure({ reason: "expired-token", expiredOn: row.expires_on });
  }
  return success(toToken(row));
}

/** Of the S3 API: the secret is the token's hash. */
export interface Credentials {
  readonly token: TokenRecord;
  readonly secret: string;
}

export function credentials(sql: SqlStorage, tokenId: string, now: number): Outcome<Credentials> {
  const [row] = sql
    .exec<{ hash: string }>(`SELECT hash FROM tokens WHERE id = ?`, tokenId)
    .toArray();
  if (row === undefined) return failure({ reason: "unknown-token" });
  const found = authenticate(sql, row.hash, now);
  return found.ok ? success({ token: found.value, secret: row.hash }) : found;
}

/** By their ids. */
export function tokenNames(sql: SqlStorage, accountId: string): Record<string, string> {
  const rows = sql
    .exec<{ id: string; name: string }>(
      `SELECT id, name FROM tokens WHERE account_id = ?`,
      accountId,
    )
    .toArray();
  return Object.fromEntries(rows.map(({ id, name }) => [id, name]));
}

/** Idempotent. The operator's token is replaced if its file was made anew. */
export function bootstrap(sql: SqlStorage, wanted: Bootstrap, now: number): { created: boolean } {
  const [account] = sql
    .exec<{ id: string }>(`SELECT id FROM accounts WHERE id = ?`, wanted.accountId)
    .toArray();
  if (!account) {
    sql.exec(
      `INSERT INTO accounts (id, name, created_on) VALUES (?, ?, ?)`,
      wanted.accountId,
      wanted.accountName,
      now,
    );
    insertNamespace(sql, wanted.accountId, wanted.namespace, OPERATOR_TOKEN, now);
  }
  ensureAccountNamespace(sql, wanted.accountId, OPERATOR_TOKEN, now);
  const [token] = sql
    .exec<{ hash: string }>(
      `SELECT hash FROM tokens WHERE account_id = ? AND name = ?`,
      wanted.accountId,
      OPERATOR_TOKEN,
    )
    .toArray();
  if (token?.hash !== wanted.tokenHash) {
    sql.exec(
      `DELETE FROM tokens WHERE account_id = ? AND name = ?`,
      wanted.accountId,
      OPERATOR_TOKEN,
    );
    sql.exec(
      `INSERT INTO tokens (id, hash, account_id, name, namespaces, permissions, created_on, expires_on)
       VALUES (?, ?, ?, ?, NULL, ?, ?, NULL)`,
      crypto.randomUUID(),
      wanted.tokenHash,
      wanted.accountId,
      OPERATOR_TOKEN,
      JSON.stringify(PERMISSIONS),
      now,
    );
  }
  return { created: !account };
}
