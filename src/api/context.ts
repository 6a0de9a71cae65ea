/** What every handler finds in Hono's context, and the few reads that all of them start with. */
import type { Context } from "hono";
import type { HubEnv } from "../hub/env.ts";
import { secretKeys } from "../hub/secret-keys.ts";
import type { Isolation } from "../protocol/placement.ts";
import { registryOf, type RegistryClient } from "../registry/client.ts";
import type { NamespaceRecord, ScriptRecord, TokenRecord } from "../registry/records.ts";
import type { Facts } from "../registry/snapshot.ts";
import { createSealer, type Sealer } from "../registry/seal.ts";
import { unwrap } from "./failures.ts";

export interface Api {
  Bindings: HubEnv;
  Variables: {
    token: TokenRecord;
    /** For the audit log: what is replaced, where neither path nor rule says it. */
    replaced?: Facts | null;
  };
}

export type ApiContext = Context<Api>;

export function registry(c: ApiContext): RegistryClient {
  return registryOf(c.env);
}

export function sealer(c: ApiContext): Sealer {
  return createSealer(secretKeys(c.env));
}

/** A parameter of the route's path. */
export function param(c: ApiContext, name: string): string {
  const value = c.req.param(name);
  if (value === undefined) throw new Error(`the route ${c.req.routePath} has no :${name}`);
  return value;
}

export function accountId(c: ApiContext): string {
  return c.var.token.accountId;
}

/** The `:namespace` of the path; without one, where the account's Workers outside of dispatch namespaces are. */
export async function namespaceOf(c: ApiContext): Promise<NamespaceRecord> {
  const name = c.req.param("namespace");
  if (name === undefined) return registry(c).accountNamespace(accountId(c));
  return unwrap(await registry(c).namespace(accountId(c), name));
}

/** The isolation that holds in a namespace. */
export function isolationOf(c: ApiContext, { isolation }: NamespaceRecord): Isolation {
  return isolation ?? c.env.PLATFORM.isolation;
}

/** The `:script` of the path, in its namespace. */
export async function scriptOf(c: ApiContext): Promise<ScriptRecord> {
  const { id } = await namespaceOf(c);
  return unwrap(await registry(c).script(id, param(c, "script")));
}

/** Waits until every live edge has taken a stored change. */
export async function settle(c: ApiContext, generation: number): Promise<void> {
  unwrap(await registry(c).settle(generation));
}
