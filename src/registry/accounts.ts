/** Accounts and their API tokens. A token's text is never stored: it is found by its SHA-256. */
import type { Bootstrap, BootstrapResult } from "../protocol/hub.ts";
import type { Outcome } from "./failures.ts";
import { ensureAccountNamespace, insertNamespace } from "./namespaces.ts";
import { PERMISSIONS, type Permission, type TokenRecord } from "./records.ts";
import { failure, success } from "./result.ts";

/** Name of the token that the platform's own start makes. There is one per account. */
const OPERATOR_TOKEN = "operator";

export function authenticate(sql: SqlStorage, hash: string, now: number): Outcome<TokenRecord> {
  const [row] = sql
    .exec<TokenRow>(
      `SELECT tokens.*, accounts.name AS account_name FROM tokens
       JOIN accounts ON accounts.id = tokens.account_id WHERE tokens.hash = ?`,
      hash,
    )
    .toArray();
  if (!row) return failure({ reason: "unknown-token" });
  if (row.expires_on !== null && row.expires_on <= now) {
    return failure({ reason: "expired-token", expiredOn: row.expires_on });
  }
  return success(toToken(row));
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
export function bootstrap(sql: SqlStorage, wanted: Bootstrap, now: number): BootstrapResult {
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

interface TokenRow extends Record<string, SqlStorageValue> {
  id: string;
  name: string;
  account_id: string;
  account_name: string;
  namespaces: string | null;
  permissions: string;
  created_on: number;
  expires_on: number | null;
}

function toToken(row: TokenRow): TokenRecord {
  return {
    id: row.id,
    name: row.name,
    accountId: row.account_id,
    accountName: row.account_name,
    namespaces: row.namespaces === null ? null : (JSON.parse(row.namespaces) as string[]),
    permissions: JSON.parse(row.permissions) as Permission[],
    createdOn: row.created_on,
    expiresOn: row.expires_on,
  };
}
