/**
 * Nothing that is configured is dropped in silence: every key that wrangler's configuration may have is in the
 * table, and every row of the table is tried with the real wrangler against the real platform.
 */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import wranglerPackage from "wrangler/package.json" with { type: "json" };
import { configurationKeys } from "./configuration/keys.ts";
import { renderPage } from "./configuration/page.ts";
import { PROJECTS, type Project, type Seen } from "./configuration/projects.ts";
import { ofAccount, OWN_QUEUE, OWN_WORKER, TABLE, type Row } from "./configuration/table.ts";
import { startPlatform, uploadForm, type Platform } from "./platform.ts";
import { createProject, wrangler, type WranglerRun } from "./wrangler.ts";

let platform: Platform;

beforeAll(async () => {
  platform = await startPlatform();
  await platform.api("POST", "/queues", { queue_name: OWN_QUEUE });
  const form = () => uploadForm(`export default { fetch: () => new Response() };`);
  for (const { path } of Object.values(KINDS)) await platform.api("PUT", path(OWN_WORKER), form());
});

afterAll(async () => {
  await platform.stop();
});

const BASE = { main: "index.js", compatibility_date: "2026-11-01" };

/** With all that samples mention. */
const FILES = {
  "index.js": `
    import { WorkflowEntrypoint } from "cloudflare:workers";
    export class Counter {}
    export class Flow extends WorkflowEntrypoint {}
    export class Flow_limits extends WorkflowEntrypoint {}
    export class Flow_concurrency extends WorkflowEntrypoint {}
    export class Flow_schedules extends WorkflowEntrypoint {}
    export class Flow_jurisdiction extends WorkflowEntrypoint {}
    export default { fetch: () => new Response("deployed") };`,
  "public/index.html": "an asset",
  schema: "a schema",
};

/** The two ways to deploy. */
const KINDS = {
  "user Worker": {
    args: ["--dispatch-namespace", "production"],
    path: (script: string) => `/workers/dispatch/namespaces/production/scripts/${script}`,
    host: (script: string) => `${script}.production.localhost`,
    table: TABLE,
  },
  "account Worker": {
    args: [],
    path: (script: string) => `/workers/scripts/${script}`,
    host: (script: string) => `${script}.workers.localhost`,
    table: TABLE.map(ofAccount),
  },
} as const;

type Kind = keyof typeof KINDS;
const kinds = Object.keys(KINDS) as Kind[];

async function deploySample(kind: Kind, name: string, sample: object): Promise<WranglerRun> {
  const config = JSON.stringify({ ...BASE, ...sample, name });
  const directory = await createProject({ ...FILES, "wrangler.json": config });
  return wrangler(directory, platform.wranglerEnv, "deploy", ...KINDS[kind].args);
}

async function get(kind: Kind, script: string): Promise<Response> {
  return platform.fetchHost(KINDS[kind].host(script), "/");
}

function rowsOf(verdict: Row["verdict"], kind: Kind): Row[] {
  return KINDS[kind].table.filter((row) => row.verdict === verdict);
}

describe("the table", () => {
  const covers = ({ keys, verdict }: Row, key: string) =>
    keys.some(
      (own) =>
        own === key ||
        (verdict !== "honoured" && (key.startsWith(`${own}.`) || key.startsWith(`${own}[`))),
    );

  test(`has every key of wrangler ${wranglerPackage.version}, and no other`, () => {
    const keys = configurationKeys();
    expect(keys.length).toBeGreaterThan(300);
    expect(keys.filter((key) => !TABLE.some((row) => covers(row, key)))).toEqual([]);
    const rows = TABLE.flatMap((row) => row.keys);
    expect(rows.filter((key) => !keys.includes(key))).toEqual([]);
    expect(rows.filter((key, index) => rows.indexOf(key) !== index)).toEqual([]);
  });

  test.for(kinds)("has a project that proves each honoured key of a %s", (kind) => {
    const proven = projectsOf(kind).flatMap(([, { proves }]) => Object.keys(proves));
    const honoured = rowsOf("honoured", kind).flatMap(({ keys }) => keys);
    expect(proven.toSorted()).toEqual(honoured.toSorted());
  });

  test("has a sample for each other row that sets its keys", () => {
    const all = [...TABLE, ...TABLE.map(ofAccount)];
    const without = all
      .filter((row) => row.verdict !== "honoured")
      .filter(({ keys, sample }) => !keys.some((key) => has(sample, key)));
    expect(without).toEqual([]);
  });

  test("is docs/configuration.md", async () => {
    await expect(renderPage(wranglerPackage.version)).toMatchFileSnapshot(
      join(import.meta.dirname, "../docs/configuration.md"),
    );
  });
});

describe(`wrangler ${wranglerPackage.version}`, { concurrent: true, timeout: 180_000 }, () => {
  describe.for(kinds)("%s", (kind) => {
    test.for(projectsOf(kind))(
      "honours what project %s has",
      async ([name, project], { expect }) => {
        const { config, seen } = await deployProject(kind, name, project);
        for (const [key, proof] of Object.entries(project.proves)) {
          const [got, want] = proof(seen);
          expect(got, key).toEqual(want);
          expect(has(config, key), key).toBe(true);
        }
      },
    );

    // Those that are the same for both kinds are tried with one.
    const alone = rowsOf("refused", kind).filter(
      (row) => row.batch === undefined && (kind === "user Worker" || !TABLE.includes(row)),
    );
    test.for(alone.map((row) => [row.keys[0] ?? "", row] as const))(
      "refuses %s",
      async ([key, { sample = {}, says }], { expect }) => {
        const name = `refused-${key.replace(/[\W_]/g, "-")}`;
        const { exitCode, output } = await deploySample(kind, name, sample);
        expect(output).toContain(says);
        expect(exitCode, output).toBe(1);
      },
    );

    test.for(["metadata", "bindings"] as const)(
      "refuses each of the %s at once",
      async (batch, { expect }) => {
        const rows = rowsOf("refused", kind).filter((row) => row.batch === batch);
        expect(rows.length).toBeGreaterThan(5);
        const sample = merge(rows.map((row) => row.sample ?? {}));
        const { exitCode, output } = await deploySample(kind, `refused-${batch}`, sample);
        for (const { keys, says } of rows) expect(output, keys.join()).toContain(says);
        expect(exitCode, output).toBe(1);
        expect((await get(kind, `refused-${batch}`)).status).toBe(404);
      },
    );

    test("deploys all that has no effect at once", async ({ expect }) => {
      const sample = merge(rowsOf("no effect", kind).map((row) => row.sample ?? {}));
      // Of a user Worker, too, wrangler asks what an account Worker of its name has.
      const name = `no-effect-${kinds.indexOf(kind)}`;
      const { exitCode, output } = await deploySample(kind, name, sample);
      expect(exitCode, output).toBe(0);
      expect(await (await get(kind, name)).text()).toBe("deployed");
    });
  });
});

function projectsOf(kind: Kind): [string, Project][] {
  return Object.entries(PROJECTS).filter(
    ([, { ofAccount }]) => kind === "account Worker" || !ofAccount,
  );
}

async function deployProject(kind: Kind, name: string, project: Project): Promise<Deployed> {
  const { script = name, args = [], before, after } = project;
  const place = { path: KINDS[kind].path(script), host: KINDS[kind].host(script) };
  const more = await before?.(platform, place);
  const { CLOUDFLARE_ACCOUNT_ID: account_id, ...env } = platform.wranglerEnv;
  const config = { name, account_id, ...BASE, ...project.config, ...more };
  const files = { ...project.files, "wrangler.json": JSON.stringify(config) };
  const command = ["deploy", ...KINDS[kind].args, ...args];
  const { exitCode, output } = await wrangler(await createProject(files), env, ...command);
  if (exitCode !== 0) throw new Error(output);
  const response = await get(kind, script);
  const text = await response.text();
  if (!response.ok) throw new Error(text);
  const result = async (rest: string) => {
    const answer = await platform.api("GET", `${place.path}/${rest}`);
    return ((await answer.json()) as { result: never }).result;
  };
  const limits = (await result("limits")) as { effective: Record<string, number> };
  const seen = {
    answer: JSON.parse(text),
    modules: await readModules(await platform.api("GET", `${place.path}/content`)),
    settings: await result("settings"),
    subdomain: kind === "account Worker" ? await result("subdomain") : undefined,
    limits: limits.effective,
    after: await after?.(platform, place),
  };
  return { config, seen };
}

interface Deployed {
  readonly config: object;
  readonly seen: Seen;
}

async function readModules(response: Response): Promise<Map<string, string>> {
  if (!response.headers.get("content-type")?.startsWith("multipart/")) {
    return new Map([[response.headers.get("cf-entrypoint") ?? "", await response.text()]]);
  }
  const parts = [...(await response.formData())].map(
    async ([name, part]) => [name, typeof part === "string" ? part : await part.text()] as const,
  );
  return new Map(await Promise.all(parts));
}

/** Whether a configuration sets a key such as `rules[].type`, in any element of a list. */
function has(config: unknown, key: string): boolean {
  let nodes = [config];
  for (const name of key.split(/\.|(?=\[\])/)) {
    nodes = nodes.flatMap((node) => {
      if (typeof node !== "object" || node === null) return [];
      if (name === "*") return Object.values(node);
      return name === "[]" ? (node as unknown[]) : [(node as Record<string, unknown>)[name]];
    });
  }
  return nodes.some((node) => node !== undefined);
}

/** Deeply; lists are joined. */
function merge(configs: readonly object[]): object {
  const merged: Record<string, unknown> = {};
  for (const config of configs) {
    for (const [key, value] of Object.entries(config as Record<string, unknown>)) {
      const before = merged[key];
      if (before === undefined) merged[key] = value;
      else if (Array.isArray(before)) merged[key] = [...before, ...(value as unknown[])];
      else merged[key] = merge([before as object, value as object]);
    }
  }
  return merged;
}
