/**
 * Ten thousand mutated calls of the API over a socket, some with a length that is a lie: no 5xx, the hub lives, and
 * what is refused changes nothing of what the registry has stored. The hub's tests send fewer, in workerd.
 */
import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { promisify } from "node:util";
import { createRandom, type Random } from "../keep-alive/random.ts";
import { ROOT, startPlatform, type Platform } from "../platform.ts";
import { repetitions, type Section } from "../section.ts";
import { fuzzCall, type FuzzCall } from "./calls.ts";

const SEED = 20261123;
/** A lie about the length leaves either side waiting; then the client goes away. */
const PATIENCE_MS = 2_000;
const LIES = 0.02;
/** An attempt that was refused is recorded, too; content of a refused upload stays until the next sweep. */
const MAY_CHANGE = ["audit", "blobs"];
/** Swept once a minute: what is old, or nobody needs any more. */
const SWEPT = [
  "versions",
  "trust",
  "deployments",
  "uploads",
  "asset_sessions",
  "session_assets",
  "tails",
];
/** Noted once a minute, of whatever call. */
const LAST_USE = "last_used_on";

export const fuzz: Section = async (bench) => {
  const calls = repetitions(bench, 10_000, 500);
  await using platform = await startPlatform();
  await platform.deploy("fuzz-a");
  const api = await readApi(platform);
  const registry = openRegistry(platform);
  const random = createRandom(SEED);
  const counts = { accepted: 0, refused: 0, unanswered: 0, failed: 0, changed: 0 };
  let before = snapshot(registry);
  for (let i = 0; i < calls; i++) {
    if (i % 500 === 0) bench.progress(`call ${i} of ${calls}: ${JSON.stringify(counts)}`);
    const call = fuzzCall(random, api.account);
    const status = await send(api, call, random() < LIES ? lie(random, call) : undefined);
    const about = `call ${i}: ${call.method} ${call.path.slice(0, 200)} -> ${status}`;
    const after = snapshot(registry);
    if (status === null) counts.unanswered++;
    else if (status >= 500) {
      counts.failed++;
      bench.progress(about);
    } else if (status >= 200 && status < 300) counts.accepted++;
    else {
      counts.refused++;
      const changed = differing(before, after);
      if (changed.length > 0) {
        counts.changed++;
        bench.progress(`has changed ${changed.join(", ")}: ${about}`);
      }
    }
    before = after;
  }
  registry.close();
  await platform.api("GET", "/workers/dispatch/namespaces");
  const section = "fuzz";
  return [
    { section, figure: `5xx of ${calls} mutated calls`, ours: counts.failed, unit: "", atMost: 0 },
    { section, figure: "refused, yet changed state", ours: counts.changed, unit: "", atMost: 0 },
    { section, figure: "refused", ours: counts.refused, unit: "" },
    { section, figure: "accepted", ours: counts.accepted, unit: "" },
    { section, figure: "without an answer", ours: counts.unanswered, unit: "" },
  ];
};

interface ApiAddress {
  readonly url: URL;
  readonly token: string;
  readonly account: string;
}

async function readApi({ data }: Platform): Promise<ApiAddress> {
  const node = join(ROOT, "node_modules/.bin/node");
  const args = [join(ROOT, "dist/cli.js"), "env", "--data", data];
  const { stdout } = await promisify(execFile)(node, args);
  const value = (name: string) => new RegExp(`^export ${name}=(.*)$`, "m").exec(stdout)?.[1] ?? "";
  return {
    url: new URL(value("CLOUDFLARE_API_BASE_URL")),
    token: value("CLOUDFLARE_API_TOKEN"),
    account: value("CLOUDFLARE_ACCOUNT_ID"),
  };
}

function lie(random: Random, { body }: FuzzCall): string {
  const size = body?.length ?? 0;
  const lies = [String(size + 10), String(Math.max(0, size - 10)), "-1", "1e3", "99999999999", ""];
  return lies[Math.floor(random() * lies.length)] ?? "";
}

/** By hand, since no client sends such things. Resolves with the status; null: there was none. */
function send(api: ApiAddress, call: FuzzCall, length?: string): Promise<number | null> {
  const { url, token } = api;
  const { method, headers, body } = call;
  const given = headers.some(([name]) => name === "authorization");
  // Line breaks would make another request of what follows, which is none that is counted.
  const path = `${url.pathname}${call.path}`.replace(/[\r\n\0]/g, "");
  const lines = [
    `${method} ${path} HTTP/1.1`,
    `host: ${url.host}`,
    "connection: close",
    ...headers.map(([name, value]) => `${name}: ${value}`),
    ...(given ? [] : [`authorization: Bearer ${token}`]),
    ...(body === null && length === undefined
      ? []
      : [`content-length: ${length ?? body?.length ?? 0}`]),
  ];
  return new Promise((resolve) => {
    const socket = connect(Number(url.port), url.hostname);
    let head = "";
    const done = () => {
      const status = /^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1];
      socket.destroy();
      resolve(status === undefined ? null : Number(status));
    };
    socket.setTimeout(PATIENCE_MS, done);
    // An end and a reset alike: what there is of an answer counts.
    socket.on("error", done);
    socket.on("close", done);
    socket.on("data", (chunk) => {
      if (head.length < 1000) head += chunk.toString("latin1");
    });
    socket.write(`${lines.join("\r\n")}\r\n\r\n`);
    if (body !== null) socket.write(body);
  });
}

function openRegistry({ data }: Platform): DatabaseSync {
  const directory = join(data, "state/Registry");
  const file = readdirSync(directory).find((name) => /^[0-9a-f]{64}\.sqlite$/.test(name));
  if (file === undefined) throw new Error(`no registry in ${directory}`);
  return new DatabaseSync(join(directory, file), { readOnly: true });
}

/** All that is stored: the rows of each table, as JSON. */
type Snapshot = ReadonlyMap<string, ReadonlySet<string>>;

function snapshot(registry: DatabaseSync): Snapshot {
  const tables = registry
    .prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    .all()
    .map(({ name }) => String(name))
    .filter((name) => !name.startsWith("_cf_") && !MAY_CHANGE.includes(name));
  const toText = (row: unknown) =>
    JSON.stringify(row, (key, value: unknown) => {
      if (key === LAST_USE) return undefined;
      return value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value;
    });
  return new Map(
    tables.map((table) => [
      table,
      new Set(registry.prepare(`SELECT * FROM "${table}"`).all().map(toText)),
    ]),
  );
}

/** Tables that differ. Those that are swept may have lost rows meanwhile, by no call. */
function differing(before: Snapshot, after: Snapshot): string[] {
  return [...after].flatMap(([table, rows]) => {
    const old = before.get(table) ?? new Set();
    if ([...rows].some((row) => !old.has(row))) return [table];
    return rows.size < old.size && !SWEPT.includes(table) ? [table] : [];
  });
}
