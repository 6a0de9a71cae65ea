/** `skep env`: the variables that point wrangler, the SDK and scripts at a running platform. */
import type { Surroundings } from "../supervisor/config.ts";
import { findPlatform, type RunningPlatform, type Values } from "./running-platform.ts";

export async function env(values: Values, around: Surroundings): Promise<number> {
  const platform = findPlatform(values, around);
  process.stdout.write(`${exportLines(platform).join("\n")}\n`);
  return 0;
}

/** No value holds a character that a shell would take for its own. */
export function exportLines({ state, token }: RunningPlatform): string[] {
  return [
    `export CLOUDFLARE_API_BASE_URL=${state.apiUrl}/client/v4`,
    `export CLOUDFLARE_API_TOKEN=${token}`,
    `export CLOUDFLARE_ACCOUNT_ID=${state.accountId}`,
    `export SKEP_URL=${state.httpUrl}`,
    `export SKEP_HTTPS_URL=${state.httpsUrl}`,
  ];
}
