/** The official `cloudflare` SDK, set up for a platform under test. */
import Cloudflare from "cloudflare";
import type { Platform } from "./platform.ts";

export interface Sdk {
  readonly client: Cloudflare;
  readonly account: { readonly account_id: string };
}

export function sdkFor({ wranglerEnv: env }: Platform): Sdk {
  const client = new Cloudflare({
    baseURL: env.CLOUDFLARE_API_BASE_URL,
    apiToken: env.CLOUDFLARE_API_TOKEN,
    maxRetries: 0,
  });
  return { client, account: { account_id: env.CLOUDFLARE_ACCOUNT_ID } };
}

/** All items of a list: the SDK asks for pages until it has seen the last. */
export async function all<Item>(pages: AsyncIterable<Item>): Promise<Item[]> {
  const items: Item[] = [];
  for await (const item of pages) items.push(item);
  return items;
}
