/**
 * Which version of a script gets a request, if more than one gets traffic. As on Cloudflare: clients that send the same
 * key get the same version as long as its share allows, and a client may ask for a version of the deployment by name.
 * https://developers.cloudflare.com/workers/configuration/versions-and-deployments/gradual-deployments/
 */
import { hashOf } from "./home.ts";
import type { ScriptEntry } from "./script-entry.ts";

const KEY_HEADER = "cloudflare-workers-version-key";
const OVERRIDES_HEADER = "cloudflare-workers-version-overrides";

const HASHES = 2 ** 32;

/** `headers` undefined: the call has none. */
export function chooseShare(whole: ScriptEntry, headers: Headers | undefined): ScriptEntry {
  const { shares, script, state } = whole;
  if (shares === undefined) return whole;
  const wanted = overrideOf(headers?.get(OVERRIDES_HEADER) ?? "", script);
  const named = shares.find((share) => share.state.versionId === wanted);
  if (named !== undefined) return named;
  const key = headers?.get(KEY_HEADER) ?? "";
  const point = key === "" ? Math.random() : hashOf(`${state.namespace}/${script}/${key}`) / HASHES;
  let end = 0;
  for (const share of shares) {
    end += share.percentage / 100;
    if (point < end) return share;
  }
  // Percentages may add up to a little less than 100.
  return shares.findLast(({ percentage }) => percentage > 0) ?? whole;
}

/** From a dictionary of RFC 9651, such as `shop="<version id>", cart="<version id>"`. */
function overrideOf(header: string, script: string): string | undefined {
  for (const member of header.split(",")) {
    const [name = "", value = ""] = member.trim().split("=");
    if (name === script) return value.replace(/^"(.*)"$/, "$1");
  }
  return undefined;
}
