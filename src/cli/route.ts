/** `skep route`: custom routes, kept by the API. */
import type { Surroundings } from "../supervisor/config.ts";
import { callApi } from "./api-client.ts";
import { UsageError, type CommandArguments } from "./command.ts";
import { nearest } from "./nearest.ts";
import { findPlatform, type RunningPlatform } from "./running-platform.ts";

interface RouteResult {
  readonly id: string;
  readonly pattern: string;
  readonly namespace: string;
  readonly script: string | null;
}

const ROUTES = "/workers/dispatch/routes";

export async function route(args: CommandArguments, around: Surroundings): Promise<number> {
  const [action = "list", ...rest] = args.positionals;
  const run = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
  if (run === undefined) {
    const suggestion = nearest(action, Object.keys(ACTIONS));
    const hint = suggestion === undefined ? "" : `; did you mean ${suggestion}?`;
    throw new UsageError(
      `skep route: expected list, add or remove, got ${JSON.stringify(action)}${hint}`,
    );
  }
  process.stdout.write(await run(rest, () => findPlatform(args.values, around)));
  return 0;
}

type Action = (words: readonly string[], platform: () => RunningPlatform) => Promise<string>;

const ACTIONS: Readonly<Record<string, Action>> = {
  async list(words, platform) {
    expectWords("list", words, []);
    const routes = (await callApi(platform(), "GET", ROUTES)) as readonly RouteResult[];
    return routes.map(line).join("");
  },
  async add(words, platform) {
    const [pattern, target] = expectWords("add", words, ["PATTERN", "NAMESPACE/SCRIPT"]);
    const added = await callApi(platform(), "POST", ROUTES, { pattern, ...readTarget(target) });
    return line(added as RouteResult);
  },
  async remove(words, platform) {
    const [id = ""] = expectWords("remove", words, ["ID"]);
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

function expectWords(
  action: string,
  words: readonly string[],
  expected: readonly string[],
): readonly string[] {
  if (words.length === expected.length) return words;
  throw new UsageError(`skep route ${action}: expected ${expected.join(" ") || "no arguments"}`);
}
