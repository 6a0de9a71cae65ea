/** `skep route`: custom routes, kept by the API. */
import type { Surroundings } from "../supervisor/config.ts";
import { expectWords, findAction, type Action } from "./actions.ts";
import { callApi } from "./api-client.ts";
import { UsageError, type CommandArguments } from "./command.ts";
import { findPlatform } from "./running-platform.ts";

interface RouteResult {
  readonly id: string;
  readonly pattern: string;
  readonly namespace: string;
  readonly script: string | null;
}

const ROUTES = "/workers/dispatch/routes";

export async function route(args: CommandArguments, around: Surroundings): Promise<number> {
  const { run, words } = findAction("route", ACTIONS, args);
  process.stdout.write(await run(words, () => findPlatform(args.values, around)));
  return 0;
}

const ACTIONS: Readonly<Record<string, Action>> = {
  async list(words, platform) {
    expectWords("route list", words, []);
    const routes = (await callApi(platform(), "GET", ROUTES)) as readonly RouteResult[];
    return routes.map(line).join("");
  },
  async add(words, platform) {
    const [pattern, target] = expectWords("route add", words, ["PATTERN", "NAMESPACE/SCRIPT"]);
    const added = await callApi(platform(), "POST", ROUTES, { pattern, ...readTarget(target) });
    return line(added as RouteResult);
  },
  async remove(words, platform) {
    const [id = ""] = expectWords("route remove", words, ["ID"]);
    await callApi(platform(), "DELETE", `${ROUTES}/${encodeURIComponent(id)}`);
    return "";
  },
};

function line({ id, pattern, namespace, script }: RouteResult): string {
  return `${id}  ${pattern}  ${namespace}/${script ?? "-"}\n`;
}

function readTarget(target = ""): { namespace: string; script: string | null } {
  const [namespace, script, ...more] = target.split("/");
  if (!namespace || !script || more.length > 0) {
    throw new UsageError(
      `skep route add: expected NAMESPACE/SCRIPT, or NAMESPACE/- for no function, got ${JSON.stringify(target)}`,
    );
  }
  // No script's name is a hyphen.
  return { namespace, script: script === "-" ? null : script };
}
