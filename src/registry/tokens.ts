/**
 * API tokens as they are kept: by the SHA-256 of their text, which nobody here ever sees. Functions that write are
 * called in a transaction.
 */
import type { Outcome } from "./failures.ts";
import type { Permission } from "../protocol/permissions.ts";
import type { TokenOwner, TokenRecord } from "./records.ts";
import { failure, success } from "./result.ts";

/** Name of the token that the platform's own start makes. There is one per account. */
export const OPERATOR_TOKEN = "operator";
/** As on Cloudflare. */
const MAX_TOKENS = 500;
/** How exactly it is known when a token was last used. */
export const USE_NOTED_EVERY_MS = 60_000;

export interface NewToken extends Pick<
  TokenRecord,
  "accountId" | "name" | "namespaces" | "permissions" | "expiresOn" | "owner"
> {
  /** SHA-256 of the token, hex. */
  readonly hash: string;
}

export const TOKEN_SELECT = `
  SELECT tokens.*, accounts.name AS account_name FROM tokens JOIN accounts ON accounts.id = tokens.account_id`;

/** Also expired ones, until somebody removes them. */
export function listTokens(sql: SqlStorage, accountId: string): TokenRecord[] {
  return sql
    .exec<TokenRow>(`${TOKEN_SELECT} WHERE account_id = ? ORDER BY tokens.created_on`, accountId)
    .toArray()
    .map(toToken);
}

export function findToken(sql: SqlStorage, accountId: string, id: string): Outcome<TokenRecord> {
  const [row] = sql
    .exec<TokenRow>(`${TOKEN_SELECT} WHERE account_id = ? AND tokens.id = ?`, accountId, id)
    .toArray();
  return row ? success(toToken(row)) : failure({ reason: "no-such-token", id });
}

export function createToken(sql: SqlStorage, token: NewToken, now: number): Outcome<TokenRecord> {
  const { accountId } = token;
  // By its name the platform's start finds the token to replace.
  if (token.name === OPERATOR_TOKEN) return failure({ reason: "operators-token" });
  const { count } = sql
    .exec<{ count: number }>(`SELECT COUNT(*) AS count FROM tokens WHERE account_id = ?`, accountId)
    .one();
  if (count >= MAX_TOKENS) return failure({ reason: "too-many-tokens", max: MAX_TOKENS });
  for (const namespace of token.namespaces ?? []) {
    const [known] = sql
      .exec(`SELECT 1 FROM namespaces WHERE account_id = ? AND name = ?`, accountId, namespace)
      .toArray();
    if (!known) return failure({ reason: "unknown-namespace", namespace });
  }
  const id = crypto.randomUUID().replaceAll("-", "");
  sql.exec(
    `INSERT INTO tokens (id, hash, account_id, name, namespaces, permissions, created_on, expires_on, owner)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    id,
    token.hash,
    accountId,
    token.name,
    token.namespaces && JSON.stringify(token.namespaces),
    JSON.stringify(token.permissions),
    now,
    token.expiresOn,
    token.owner,
  );
  return findToken(sql, accountId, id);
}

export function rollToken(
  sql: SqlStorage,
  accountId: string,
  id: string,
  hash: string,
): Outcome<TokenRecord> {
  const found = changeable(sql, accountId, id);
  if (found.ok) sql.exec(`UPDATE tokens SET hash = ? WHERE id = ?`, hash, id);
  return found;
}

export function deleteToken(sql: SqlStorage, accountId: string, id: string): Outcome<null> {
  const found = changeable(sql, accountId, id);
  if (!found.ok) return found;
  sql.exec(`DELETE FROM tokens WHERE id = ?`, id);
  return success();
}

/** The operator's is in a file of the data directory, which would no longer be right. */
function changeable(sql: SqlStorage, accountId: string, id: string): Outcome<TokenRecord> {
  const found = findToken(sql, accountId, id);
  if (found.ok && found.value.name === OPERATOR_TOKEN) {
    return failure({ reason: "operators-token" });
  }
  return found;
}

export function noteTokenUse(sql: SqlStorage, id: string, now: number): void {
  sql.exec(
    `UPDATE tokens SET last_used_on = ?1 WHERE id = ?2 AND coalesce(last_used_on, 0) <= ?1 - ?3`,
    now,
    id,
    USE_NOTED_EVERY_MS,
  );
}

/**
 * Tokens name namespaces by name. One that is renamed stays theirs, and one that is deleted does not, so that a
 * later namespace with its name is not opened by them. `to` null: it is deleted.
 */
export function followNamespace(
  sql: SqlStorage,
  accountId: string,
  from: string,
  to: string | null,
): void {
  for (const { id, namespaces } of listTokens(sql, accountId)) {
    if (!namespaces?.includes(from)) continue;
    const others = namespaces.filter((name) => name !== from);
    const next = to === null ? others : [...others, to];
    sql.exec(`UPDATE tokens SET namespaces = ? WHERE id = ?`, JSON.stringify(next), id);
  }
}

export interface TokenRow extends Record<string, SqlStorageValue> {
  id: string;
  name: string;
  account_id: string;
  account_name: string;
  namespaces: string | null;
  permissions: string;
  created_on: number;
  expires_on: number | null;
  last_used_on: number | null;
  owner: string;
}

export function toToken(row: TokenRow): TokenRecord {
  return {
    id: row.id,
    name: row.name,
    accountId: row.account_id,
    accountName: row.account_name,
    namespaces: row.namespaces === null ? null : (JSON.parse(row.namespaces) as string[]),
    permissions: JSON.parse(row.permissions) as Permission[],
    createdOn: row.created_on,
    expiresOn: row.expires_on,
    lastUsedOn: row.last_used_on,
    owner: row.owner as TokenOwner,
  };
}
