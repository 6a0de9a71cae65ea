/**
 * `…/namespaces/{namespace}/usage`, and `…/workers/usage` for what belongs to the account itself: how much is kept, of how much
 * may be. Ours, not Cloudflare's.
 */
import { effectiveLimits } from "../protocol/limits.ts";
import { quotaOwner } from "../protocol/store.ts";
import { accountId, namespaceOf, type ApiContext } from "./context.ts";
import { ok } from "./envelope.ts";

const MIB = 1024 * 1024;

interface ResourceUsage {
  readonly kind: string;
  readonly id: string;
  readonly usage: Readonly<Record<string, number>>;
}

export async function getUsage(c: ApiContext): Promise<Response> {
  const namespace = await namespaceOf(c);
  const isAccounts = namespace.kind === "account";
  const owner = quotaOwner(accountId(c), isAccounts ? null : namespace.id);
  const response = await c.env.STORE.fetch(`http://store/usage/${encodeURIComponent(owner)}`);
  if (!response.ok) throw new Error(`the store answered ${response.status}`);
  const resources = await response.json<ResourceUsage[]>();
  const sum = (measure: string) =>
    resources.reduce((total, { usage }) => total + (usage[measure] ?? 0), 0);
  const { storage_mb, kv_keys, r2_objects, queue_messages } = effectiveLimits(
    c.env.PLATFORM.limits,
    isAccounts ? {} : namespace.limits,
  );
  return ok(c, {
    bytes: { used: sum("bytes"), limit: storage_mb * MIB },
    kv_keys: { used: sum("kv_keys"), limit: kv_keys },
    r2_objects: { used: sum("r2_objects"), limit: r2_objects },
    queue_messages: { used: sum("queue_messages"), limit: queue_messages },
    resources,
  });
}
