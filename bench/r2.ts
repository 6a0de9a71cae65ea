/**
 * An object of 1 GiB up and down, through a function's binding, the REST API and the S3 API: how much more memory any process
 * of the platform takes meanwhile, and how fast it goes.
 */
import { createHash, createHmac } from "node:crypto";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { Readable } from "node:stream";
import { hostOf, startPlatform, type Platform } from "./platform.ts";
import type { Section } from "./section.ts";
import type { Row } from "./table.ts";

const MIB = 2 ** 20;
/** Issue: less than 100 MB in every process. */
const MOST_MIB = 100;

const SOURCE = `export default {
  async fetch(request, env) {
    if (request.method === "PUT") return Response.json((await env.BUCKET.put("by-function", request.body)).size);
    return new Response((await env.BUCKET.get("by-function")).body);
  },
};`;

interface Way {
  readonly name: string;
  /** Where the object is, and what a request for it needs. */
  target(method: "PUT" | "GET"): { url: URL; headers: Record<string, string> };
}

export const r2: Section = async (bench) => {
  const size = Math.max(64, Math.round(1024 * bench.effort)) * MIB;
  await using platform = await startPlatform(["--limits", "request_body_mb=1024,wall_ms=300000"]);
  const rows: Row[] = [];
  for (const way of await waysTo(platform)) {
    for (const method of ["PUT", "GET"] as const) {
      bench.progress(`${method} ${way.name}`);
      rows.push(...(await measured(platform, way, method, size)));
    }
  }
  return rows;
};

async function waysTo(platform: Platform): Promise<Way[]> {
  await platform.api("POST", "/r2/buckets", { name: "bench" });
  const form = new FormData();
  const bindings = [{ type: "r2_bucket", name: "BUCKET", bucket_name: "bench" }];
  const metadata = { main_module: "main.js", compatibility_date: "2026-11-01", bindings };
  form.set("metadata", JSON.stringify(metadata));
  form.set("main.js", new File([SOURCE], "main.js", { type: "application/javascript+module" }));
  await platform.api("PUT", "/workers/dispatch/namespaces/production/scripts/r2", form);
  const { CLOUDFLARE_API_BASE_URL, CLOUDFLARE_ACCOUNT_ID, CLOUDFLARE_API_TOKEN } = platform.env;
  const base = String(CLOUDFLARE_API_BASE_URL);
  const token = String(CLOUDFLARE_API_TOKEN);
  const authorization = `Bearer ${token}`;
  const verified = await fetch(`${base}/user/tokens/verify`, { headers: { authorization } });
  const { result } = (await verified.json()) as { result: { id: string } };
  const secret = createHash("sha256").update(token).digest("hex");
  return [
    {
      name: "through a function",
      target: () => ({
        url: new URL(`http://127.0.0.1:${platform.port}/`),
        headers: { host: hostOf("r2") },
      }),
    },
    {
      name: "through the REST API",
      target: () => ({
        url: new URL(
          `${base}/accounts/${String(CLOUDFLARE_ACCOUNT_ID)}/r2/buckets/bench/objects/by-rest`,
        ),
        headers: { authorization },
      }),
    },
    {
      name: "through the S3 API",
      target: (method) => {
        const url = new URL("/bench/by-s3", base);
        return { url, headers: signed(method, url, result.id, secret) };
      },
    },
  ];
}

async function measured(
  platform: Platform,
  way: Way,
  method: "PUT" | "GET",
  size: number,
): Promise<Row[]> {
  const pids = platform.pids();
  // From here on the kernel counts each process's peak anew.
  for (const pid of pids) writeFileSync(`/proc/${pid}/clear_refs`, "5");
  const before = pids.map(peakMiB);
  const started = performance.now();
  await transfer(way, method, size);
  const seconds = (performance.now() - started) / 1000;
  const growth = pids.map((pid, index) => peakMiB(pid) - (before[index] ?? 0));
  const what = `${size / MIB} MiB ${method === "PUT" ? "up" : "down"} ${way.name}`;
  return [
    {
      section: "r2",
      figure: `${what}: most that a process grew`,
      ours: Math.max(...growth),
      unit: "MiB",
      atMost: MOST_MIB,
    },
    { section: "r2", figure: what, ours: size / MIB / seconds, unit: "MiB/s" },
  ];
}

function peakMiB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}

async function transfer(way: Way, method: "PUT" | "GET", size: number): Promise<void> {
  const { url, headers } = way.target(method);
  const length = method === "PUT" ? { "content-length": String(size) } : {};
  const request = httpRequest(url, { method, headers: { ...headers, ...length } });
  if (method === "PUT") Readable.from(pieces(size)).pipe(request);
  else request.end();
  const [response] = (await once(request, "response")) as [IncomingMessage];
  let bytes = 0;
  for await (const chunk of response) bytes += (chunk as Buffer).byteLength;
  if (response.statusCode !== 200) throw new Error(`${way.name}: ${response.statusCode}`);
  if (method === "GET" && bytes !== size) throw new Error(`${way.name}: ${bytes} bytes came`);
}

function* pieces(size: number): Generator<Buffer> {
  const piece = Buffer.alloc(MIB, "skep");
  for (let sent = 0; sent < size; sent += MIB) yield piece;
}

/** Signature Version 4 with an unsigned payload. */
function signed(method: string, url: URL, id: string, secret: string): Record<string, string> {
  const at = new Date().toISOString().replace(/[-:]|\.\d+/g, "");
  const scope = [at.slice(0, 8), "auto", "s3", "aws4_request"];
  const headers = {
    host: url.host,
    "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
    "x-amz-date": at,
  };
  const names = Object.keys(headers).join(";");
  const canonical = [
    method,
    url.pathname,
    "",
    ...Object.entries(headers).map(([name, value]) => `${name}:${value}`),
    "",
    names,
    "UNSIGNED-PAYLOAD",
  ].join("\n");
  const hash = createHash("sha256").update(canonical).digest("hex");
  const text = ["AWS4-HMAC-SHA256", at, scope.join("/"), hash].join("\n");
  const key = scope.reduce<Buffer | string>(
    (current, part) => createHmac("sha256", current).update(part).digest(),
    `AWS4${secret}`,
  );
  const signature = createHmac("sha256", key).update(text).digest("hex");
  const authorization = `AWS4-HMAC-SHA256 Credential=${id}/${scope.join("/")}, SignedHeaders=${names}, Signature=${signature}`;
  return { ...headers, authorization };
}
