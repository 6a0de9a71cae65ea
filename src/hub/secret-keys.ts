/**
 * The keys that seal secrets (src/registry/seal.ts): those that this process was started with, and newer ones that it
 * was told since. A key that was replaced goes on opening here until this process ends, for what is being read while
 * secrets are sealed anew.
 */
import type { RegistryClient } from "../registry/client.ts";
import type { SealedVersion } from "../registry/reseal.ts";
import { createSealer, keyIds, placeOf } from "../registry/seal.ts";
import type { HubEnv } from "./env.ts";

/** Newest first. */
const added: string[] = [];

export function secretKeys({ SECRET_KEY }: Pick<HubEnv, "SECRET_KEY">): string {
  return added.length === 0 ? SECRET_KEY : [...added, SECRET_KEY].join(",");
}

/** From here on it seals. */
export function addSecretKey(key: string): void {
  if (added[0] !== key) added.unshift(key);
}

/** Brings all stored secrets under the newest key. Returns how many were not; afterwards no other key is needed. */
export async function resealAll(
  registry: RegistryClient,
  env: Pick<HubEnv, "SECRET_KEY">,
): Promise<number> {
  let resealed = 0;
  for (;;) {
    const [newest = "", ...others] = await keyIds(secretKeys(env));
    for (let after = ""; ;) {
      const versions = await registry.sealedOtherwise(newest, after);
      const last = versions.at(-1);
      if (last === undefined) break;
      after = last.id;
      // As they are now: one that came since may have sealed what was read.
      const keys = secretKeys(env);
      await registry.reseal(await Promise.all(versions.map((version) => reseal(version, keys))));
      resealed += versions.reduce((sum, { secrets }) => sum + secrets.length, 0);
    }
    // Not if a change that was under way has stored a secret under an old key meanwhile.
    if (await registry.retireAllKeysBut(newest, others)) return resealed;
  }
}

async function reseal({ id, namespaceId, script, secrets }: SealedVersion, keys: string) {
  const sealer = createSealer(keys);
  const place = placeOf(namespaceId, script);
  const entries = await Promise.all(
    secrets.map(async (sealed) => [
      sealed,
      await sealer.seal(place, await sealer.open(place, sealed)),
    ]),
  );
  return { id, secrets: Object.fromEntries(entries) as Record<string, string> };
}

/** Ids of keys without which stored secrets cannot be opened, and which are not here. */
export async function missingKeys(
  registry: RegistryClient,
  env: Pick<HubEnv, "SECRET_KEY">,
): Promise<string[]> {
  const here = await keyIds(secretKeys(env));
  return (await registry.neededKeys()).filter(
    (id) => id !== null && !here.includes(id),
  ) as string[];
}
