/** What those are told who follow the changes of a bucket: Cloudflare's event notification. */
import type { R2Action } from "../../protocol/r2-rules.ts";
import type { StoreConfig } from "../../protocol/store.ts";

export interface Change {
  readonly action: R2Action;
  readonly key: string;
  /** Of what is there now; none after a deletion. */
  readonly made?: { readonly size: number; readonly etag: string };
  readonly copySource?: { readonly bucket: string; readonly object: string };
}

export function toNotification(
  { accountId, name }: StoreConfig,
  { action, key, made, copySource }: Change,
): Record<string, unknown> {
  return {
    account: accountId,
    action,
    bucket: name,
    object: { key, ...(made && { size: made.size, eTag: made.etag }) },
    eventTime: new Date().toISOString(),
    ...(copySource && { copySource }),
  };
}
