/**
 * `…/namespaces/{namespace}/limits` and `…/scripts/{script}/limits`. Ours, not Cloudflare's. PUT replaces all
 * that was set there; what a version's own configuration says goes before both.
 */
import { effectiveLimits, type LimitSettings } from "../protocol/limits.ts";
import type { LimitRecord, NamespaceRecord, ScriptRecord } from "../registry/records.ts";
import { accountId, namespaceOf, param, registry, settle, type ApiContext } from "./context.ts";
import { ok } from "./envelope.ts";
import { unwrap } from "./failures.ts";
import { jsonBody } from "./json-body.ts";
import { settleStore } from "./resources.ts";
import * as z from "zod";
import { parseLimits } from "./limit-rules.ts";

export async function getNamespaceLimits(c: ApiContext): Promise<Response> {
  return ok(c, ofNamespace(c, await namespaceOf(c)));
}

export async function putNamespaceLimits(c: ApiContext): Promise<Response> {
  const limits = await readLimits(c, "namespace");
  const name = param(c, "namespace");
  const stored = unwrap(await registry(c).setNamespaceLimits(accountId(c), name, limits));
  await settle(c, stored.generation);
  await settleStore(c);
  return ok(c, ofNamespace(c, stored.value));
}

export async function getScriptLimits(c: ApiContext): Promise<Response> {
  const namespace = await namespaceOf(c);
  const script = unwrap(await registry(c).script(namespace.id, param(c, "script")));
  return ok(c, ofScript(c, namespace, script));
}

export async function putScriptLimits(c: ApiContext): Promise<Response> {
  const limits = await readLimits(c, "script");
  const namespace = await namespaceOf(c);
  const script = param(c, "script");
  const stored = unwrap(await registry(c).setScriptLimits(namespace.id, script, limits));
  await settle(c, stored.generation);
  return ok(c, ofScript(c, namespace, stored.value));
}

async function readLimits(c: ApiContext, owner: "namespace" | "script"): Promise<LimitSettings> {
  return parseLimits(await jsonBody(c, z.unknown()), c.env.PLATFORM.limits, owner);
}

function ofNamespace(c: ApiContext, { limits }: NamespaceRecord): LimitRecord {
  return { limits, effective: effectiveLimits(c.env.PLATFORM.limits, limits) };
}

function ofScript(c: ApiContext, namespace: NamespaceRecord, script: ScriptRecord): LimitRecord {
  const { limits, version } = script;
  return {
    limits,
    effective: effectiveLimits(
      c.env.PLATFORM.limits,
      version.settings.limits ?? {},
      limits,
      namespace.limits,
    ),
  };
}
