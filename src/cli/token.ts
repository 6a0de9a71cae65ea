/** `skep token`: API tokens for people and tools that need not be the operator. */
import { PERMISSIONS } from "../protocol/permissions.ts";
import type { Surroundings } from "../supervisor/config.ts";
import { expectWords, findAction, type Action } from "./actions.ts";
import { callApi } from "./api-client.ts";
import { UsageError, type CommandArguments } from "./command.ts";
import { findPlatform, type Values } from "./running-platform.ts";
import { alignColumns } from "./table.ts";

interface TokenResult {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly expires_on?: string;
  readonly last_used_on: string | null;
  readonly policies: readonly [
    {
      readonly permission_groups: readonly { readonly id: string }[];
      readonly resources: Readonly<Record<string, string>>;
    },
  ];
}

const TOKENS = "/tokens";
const HOUR_MS = 3_600_000;

export async function token(args: CommandArguments, around: Surroundings): Promise<number> {
  const { run, words } = findAction("token", actions(args.values), args);
  process.stdout.write(await run(words, () => findPlatform(args.values, around)));
  return 0;
}

const actions = (values: Values): Readonly<Record<string, Action>> => ({
  async list(words, platform) {
    expectWords("token list", words, []);
    const tokens = (await callApi(platform(), "GET", TOKENS)) as readonly TokenResult[];
    const head = ["id", "name", "may", "in", "expires", "last used"];
    return `${alignColumns([head, ...tokens.map(row)]).join("\n")}\n`;
  },
  async create(words, platform) {
    expectWords("token create", words, []);
    const wanted = readWanted(values, Date.now());
    const { state, token: own } = platform();
    const { value, ...made } = (await callApi({ state, token: own }, "POST", TOKENS, {
      name: wanted.name,
      policies: [
        {
          effect: "allow",
          permission_groups: wanted.permissions.map((id) => ({ id })),
          resources: Object.fromEntries(
            resourceNames(state.accountId, wanted.namespaces).map((name) => [name, "*"]),
          ),
        },
      ],
      ...(wanted.expires !== undefined && { expires_on: wanted.expires }),
    })) as TokenResult & { value: string };
    if (isTooLittleForWrangler(wanted.permissions)) {
      process.stderr.write("wrangler looks before it deploys or tails: it needs read as well\n");
    }
    return shown(made, value);
  },
  async roll(words, platform) {
    const path = pathOf("token roll", words);
    const value = (await callApi(platform(), "PUT", `${path}/value`, {})) as string;
    return shown((await callApi(platform(), "GET", path)) as TokenResult, value);
  },
  async revoke(words, platform) {
    await callApi(platform(), "DELETE", pathOf("token revoke", words));
    return "";
  },
});

function pathOf(command: string, words: readonly string[]): string {
  const [id = ""] = expectWords(command, words, ["ID"]);
  return `${TOKENS}/${encodeURIComponent(id)}`;
}

/** The text alone on standard output, so that a shell can take it into a variable. */
function shown(made: TokenResult, value: string): string {
  const [id, name, may, where, expires] = row(made);
  process.stderr.write(
    `${name} (${id}) may ${may} in ${where}, expires: ${expires}. Its text is shown this once:\n`,
  );
  return `${value}\n`;
}

function row({ id, name, status, expires_on, last_used_on, policies }: TokenResult): string[] {
  const [{ permission_groups, resources }] = policies;
  const namespaces = Object.keys(resources).flatMap(
    (resource) =>
      /^com\.cloudflare\.edge\.worker\.namespace\.[^_]+_(.+)$/.exec(resource)?.[1] ?? [],
  );
  const isWhole = Object.keys(resources).some((name) => name.startsWith("com.cloudflare.api."));
  return [
    id,
    name,
    permission_groups.map((group) => group.id).join(","),
    isWhole ? "all" : namespaces.join(",") || "none any more",
    status === "expired" ? "has expired" : (expires_on ?? "never"),
    last_used_on ?? "never",
  ];
}

function resourceNames(accountId: string, namespaces: readonly string[] | undefined): string[] {
  return (
    namespaces?.map((name) => `com.cloudflare.edge.worker.namespace.${accountId}_${name}`) ?? [
      `com.cloudflare.api.account.${accountId}`,
    ]
  );
}

export interface Wanted {
  readonly name: string;
  readonly permissions: readonly string[];
  /** undefined: all of the account. */
  readonly namespaces: readonly string[] | undefined;
  /** ISO 8601; undefined: never. */
  readonly expires: string | undefined;
}

/** @throws UsageError */
export function readWanted(values: Values, now: number): Wanted {
  const { name, permission, namespace, expires } = values;
  if (!name) throw new UsageError("skep token create: needs --name, what it is for");
  if (!permission) {
    throw new UsageError(
      `skep token create: needs --permission, one or more of ${PERMISSIONS.join(",")}`,
    );
  }
  const permissions = permission.split(",");
  const unknown = permissions.find((each) => !PERMISSIONS.some((known) => known === each));
  if (unknown !== undefined) {
    throw new UsageError(
      `--permission: expected ${PERMISSIONS.join(", ")}, got ${JSON.stringify(unknown)}`,
    );
  }
  return {
    name,
    permissions,
    namespaces: namespace?.split(","),
    expires: expires === undefined ? undefined : readExpiry(expires, now),
  };
}

/** Every command of wrangler begins with a GET. */
export function isTooLittleForWrangler(permissions: readonly string[]): boolean {
  return permissions.some((each) => each !== "read") && !permissions.includes("read");
}

function readExpiry(text: string, now: number): string {
  const [, count, unit] = /^(\d{1,5})([hd])$/.exec(text) ?? [];
  if (count !== undefined) {
    return new Date(now + Number(count) * (unit === "d" ? 24 : 1) * HOUR_MS).toISOString();
  }
  const time = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : NaN;
  if (!Number.isNaN(time) && time > now) return new Date(time).toISOString();
  throw new UsageError(
    `--expires: expected a time from now such as 12h or 30d, or a date to come such as 2030-01-31, got ${JSON.stringify(text)}`,
  );
}
