/** `skep namespace`: dispatch namespaces, how their functions are kept apart, who gets what they fetch and log. */
import { ISOLATIONS } from "../protocol/placement.ts";
import type { Surroundings } from "../supervisor/config.ts";
import { expectWords, findAction, type Action } from "./actions.ts";
import { callApi } from "./api-client.ts";
import { UsageError, type CommandArguments } from "./command.ts";
import { findPlatform } from "./running-platform.ts";
import { alignColumns } from "./table.ts";

interface NamespaceResult {
  readonly namespace_name: string;
  readonly script_count: number;
  readonly isolation: string | null;
  readonly trusted_workers: boolean;
  readonly outbound: { readonly script: string; readonly parameters: readonly string[] } | null;
  readonly tail_consumers: readonly string[];
}

const NAMESPACES = "/workers/dispatch/namespaces";
/** Back to what `skep start --isolation` says. */
const PLATFORMS_OWN = "default";
const NO_OUTBOUND = "none";
const NO_TAIL_WORKERS = "none";

export async function namespace(args: CommandArguments, around: Surroundings): Promise<number> {
  const { run, words } = findAction("namespace", ACTIONS, args);
  process.stdout.write(await run(words, () => findPlatform(args.values, around)));
  return 0;
}

const ACTIONS: Readonly<Record<string, Action>> = {
  async list(words, platform) {
    expectWords("namespace list", words, []);
    return table((await callApi(platform(), "GET", NAMESPACES)) as readonly NamespaceResult[]);
  },
  async create(words, platform) {
    const [name] = expectWords("namespace create", words, ["NAME"]);
    return table([(await callApi(platform(), "POST", NAMESPACES, { name })) as NamespaceResult]);
  },
  async isolate(words, platform) {
    const choices = [...ISOLATIONS, PLATFORMS_OWN];
    const expected = ["NAME", choices.join("|")];
    const [name = "", isolation = ""] = expectWords("namespace isolate", words, expected);
    if (!choices.includes(isolation)) {
      throw new UsageError(
        `skep namespace isolate: expected ${choices.join(", ")}, got ${JSON.stringify(isolation)}`,
      );
    }
    const path = `${NAMESPACES}/${encodeURIComponent(name)}`;
    const body = { isolation: isolation === PLATFORMS_OWN ? null : isolation };
    return table([(await callApi(platform(), "PUT", path, body)) as NamespaceResult]);
  },
  async outbound([name, script, ...parameters], platform) {
    if (name === undefined || script === undefined) {
      throw new UsageError(
        `skep namespace outbound: expected NAME NAMESPACE/SCRIPT [PARAMETER ...], or NAME ${NO_OUTBOUND}`,
      );
    }
    const path = `${NAMESPACES}/${encodeURIComponent(name)}`;
    const body = { outbound: script === NO_OUTBOUND ? null : { script, parameters } };
    return table([(await callApi(platform(), "PUT", path, body)) as NamespaceResult]);
  },
  async tail([name, ...consumers], platform) {
    if (name === undefined || consumers.length === 0) {
      throw new UsageError(
        `skep namespace tail: expected NAME NAMESPACE/SCRIPT ..., or NAME ${NO_TAIL_WORKERS}`,
      );
    }
    const path = `${NAMESPACES}/${encodeURIComponent(name)}`;
    const isNone = consumers.length === 1 && consumers[0] === NO_TAIL_WORKERS;
    const body = { tail_consumers: isNone ? [] : consumers };
    return table([(await callApi(platform(), "PUT", path, body)) as NamespaceResult]);
  },
};

function table(namespaces: readonly NamespaceResult[]): string {
  const rows = namespaces.map((each) => [
    each.namespace_name,
    each.isolation ?? PLATFORMS_OWN,
    String(each.script_count),
    each.trusted_workers ? "yes" : "no",
    each.outbound === null
      ? NO_OUTBOUND
      : [each.outbound.script, ...each.outbound.parameters].join(" "),
    each.tail_consumers.join(" ") || NO_TAIL_WORKERS,
  ]);
  const head = [
    "namespace",
    "isolation",
    "functions",
    "sees request.cf",
    "outbound Worker",
    "Tail Workers",
  ];
  const lines = alignColumns([head, ...rows]);
  return `${lines.join("\n")}\n`;
}
