/** `skep rollout`: a new version that gets the traffic in steps. The hub does it; this only asks and tells. */
import type { Surroundings } from "../supervisor/config.ts";
import { expectWords, findAction, type Action } from "./actions.ts";
import { callApi } from "./api-client.ts";
import { CommandError, UsageError, type CommandArguments } from "./command.ts";
import { readRolloutOptions } from "./rollout-options.ts";
import { renderRollout, type RolloutResult } from "./rollout-text.ts";
import { findPlatform, type RunningPlatform } from "./running-platform.ts";
import { readTarget, TARGET, type ScriptTarget } from "./script-target.ts";
import { findVersion } from "./versions.ts";

const POLL_MS = 1_000;

export async function rollout(args: CommandArguments, around: Surroundings): Promise<number> {
  const { run, words } = findAction("rollout", actions(args), args);
  process.stdout.write(await run(words, () => findPlatform(args.values, around)));
  return 0;
}

function actions({ values }: CommandArguments): Readonly<Record<string, Action>> {
  const one =
    (name: string, method: string, path: string): Action =>
    async (words, platform) => {
      const [word] = expectWords(`rollout ${name}`, words, [TARGET]);
      const target = readTarget(`rollout ${name}`, word);
      return show(target, await callApi(platform(), method, `${target.path}${path}`));
    };
  return {
    status: one("status", "GET", "/rollout"),
    async start(words, platform) {
      const [word, version = ""] = expectWords("rollout start", words, [TARGET, "VERSION"]);
      const target = readTarget("rollout start", word);
      if (values["canary"] === undefined) {
        throw new UsageError("skep rollout start: needs --canary, such as --canary 10%");
      }
      const options = readRolloutOptions("rollout start", values["canary"], values);
      const running = platform();
      const { id } = await findVersion(running, target, version);
      return show(target, await startRollout(running, target, { ...options, version_id: id }));
    },
    abort: one("abort", "DELETE", "/rollout"),
    promote: one("promote", "POST", "/rollout/promote"),
    async wait(words, platform) {
      const [word] = expectWords("rollout wait", words, [TARGET]);
      const target = readTarget("rollout wait", word);
      const ended = await waitForEnd(platform, target);
      const text = show(target, ended);
      if (ended.state === "promoted") return text;
      throw new CommandError(text.trimEnd());
    },
  };
}

export function startRollout(platform: RunningPlatform, target: ScriptTarget, body: object) {
  return callApi(platform, "POST", `${target.path}/rollout`, body);
}

/** Also while the platform restarts. */
async function waitForEnd(
  platform: () => RunningPlatform,
  target: ScriptTarget,
): Promise<RolloutResult> {
  let found = (await callApi(platform(), "GET", `${target.path}/rollout`)) as RolloutResult;
  while (found.state === "running") {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    try {
      found = (await callApi(platform(), "GET", `${target.path}/rollout`)) as RolloutResult;
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      process.stderr.write(`${error.message}\n`);
    }
  }
  return found;
}

export function show({ name }: ScriptTarget, rollout: unknown): string {
  return `${renderRollout(name, rollout as RolloutResult).join("\n")}\n`;
}
