/** `skep changes`: which changes a function is called with, and how far it has got, by the API. */
import type { Surroundings } from "../supervisor/config.ts";
import { expectWords, findAction, type Action } from "./actions.ts";
import { callApi } from "./api-client.ts";
import { UsageError, type CommandArguments } from "./command.ts";
import { findPlatform, type RunningPlatform, type Values } from "./running-platform.ts";
import { readTarget } from "./script-target.ts";
import { alignColumns } from "./table.ts";

interface FeedResult {
  readonly id: string;
  readonly binding: string;
  readonly kind: string;
  readonly actions: readonly string[];
  readonly tables?: readonly string[];
  readonly prefix?: string;
  readonly suffix?: string;
  readonly position?: number;
  readonly waiting?: number;
}

export async function changes(args: CommandArguments, around: Surroundings): Promise<number> {
  const { run, words } = findAction("changes", actions(args.values), args);
  process.stdout.write(await run(words, () => findPlatform(args.values, around)));
  return 0;
}

const actions = (values: Values): Readonly<Record<string, Action>> => ({
  async list(words, platform) {
    const [target] = expectWords("changes list", words, ["[NAMESPACE/]SCRIPT"]);
    const path = pathOf("list", target);
    const running = platform();
    const feeds = (await callApi(running, "GET", path)) as readonly FeedResult[];
    const states = await Promise.all(
      feeds.map(({ id }) => callApi(running, "GET", `${path}/${id}`) as Promise<FeedResult>),
    );
    const head = ["id", "binding", "of", "actions", "position", "waiting"];
    return `${alignColumns([head, ...states.map(row)]).join("\n")}\n`;
  },
  async add(words, platform) {
    const [target, binding] = expectWords("changes add", words, ["[NAMESPACE/]SCRIPT", "BINDING"]);
    const body = { binding, ...readRules(values) };
    return made(platform(), pathOf("add", target), body);
  },
  async remove(words, platform) {
    const [target, id = ""] = expectWords("changes remove", words, ["[NAMESPACE/]SCRIPT", "ID"]);
    await callApi(platform(), "DELETE", `${pathOf("remove", target)}/${encodeURIComponent(id)}`);
    return "";
  },
  async position(words, platform) {
    const expected = ["[NAMESPACE/]SCRIPT", "ID", "POSITION"];
    const [target, id = "", text = ""] = expectWords("changes position", words, expected);
    const path = `${pathOf("position", target)}/${encodeURIComponent(id)}/position`;
    if (!/^\d+$/.test(text)) {
      throw new UsageError(
        `skep changes position: expected the number of a change, or 0 for all that are kept, got ${JSON.stringify(text)}`,
      );
    }
    await callApi(platform(), "PUT", path, { position: Number(text) });
    return "";
  },
});

function pathOf(action: string, target: string | undefined): string {
  return `${readTarget(`changes ${action}`, target).path}/changes`;
}

async function made(platform: RunningPlatform, path: string, body: object): Promise<string> {
  const feed = (await callApi(platform, "POST", path, body)) as FeedResult;
  return `${feed.id}\n`;
}

function readRules({ actions: named, tables, prefix, suffix }: Values): object {
  return {
    ...(named !== undefined && { actions: named.split(",") }),
    ...(tables !== undefined && { tables: tables.split(",") }),
    ...(prefix !== undefined && { prefix }),
    ...(suffix !== undefined && { suffix }),
  };
}

function row(feed: FeedResult): string[] {
  const { tables, prefix, suffix } = feed;
  const of = tables?.join(",") ?? `${prefix ?? ""}*${suffix ?? ""}`;
  return [
    feed.id,
    feed.binding,
    of,
    feed.actions.join(","),
    String(feed.position ?? 0),
    String(feed.waiting ?? 0),
  ];
}
