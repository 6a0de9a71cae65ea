/**
 * Static assets of the real platform against those of Miniflare, which are Cloudflare's own: the same site under the
 * same configuration, the same requests, the same answers.
 */
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { deploySite } from "./site.ts";
import type { Outgoing } from "./http.ts";
import { send } from "./http.ts";
import { startPlatform, type Platform } from "./platform.ts";
import { createProject } from "./wrangler.ts";

const FILES = {
  "/index.html": "root",
  "/404.html": "nothing here",
  "/about.html": "about",
  "/both.html": "both, the page",
  "/both/index.html": "both, the folder",
  "/docs/index.html": "docs",
  "/docs/404.html": "no such doc",
  "/docs/guide.html": "guide",
  "/docs/deep/index": "a file without extension",
  "/index/index.html": "an odd folder",
  "/style.css": "body {}",
  "/data.json": "{}",
  "/with space.html": "space",
  "/ünï/cödé.txt": "unicode",
  "/a+b&c.txt": "signs",
  "/noext": "no type",
  "/same.html": "same",
  "/same2.html": "same",
  "/empty.txt": "",
};

const PATHS = [
  ...Object.keys(FILES).map((path) => encodeURI(path)),
  ..."/ /about /about/ /about/index /about/index.html /both /both/ /both/index".split(" "),
  ..."/docs /docs/ /docs/index /docs/guide /docs/guide/ /docs/guide/index.html".split(" "),
  ..."/docs/nope /docs/deep/nope/ /nope /nope/ /nope.html /index /index/ //about".split(" "),
  ..."/docs//guide /about?a=1&b=%20 /with%20space /%61bout /a%2Bb%26c.txt /%E0%A4%A".split(" "),
  ..."/docs/deep/index /docs/deep/ /same /same2 /noext /old /old?x=1 /go/a/b /user/bee".split(" "),
  ..."/user/bee/nest /ext/some/where /frag /proxied /proxied/nope /seven /eight /late".split(" "),
  ..."/host/example.org /multi/1/2 /style.css?v=2 /constructor /__proto__".split(" "),
  ..."/_headers /_redirects".split(" "),
];

const _redirects = `
/old /about 301  # a comment
/go/* /docs/:splat 302
/user/:name /about?name=:name#top 303
/ext/* https://example.com/x/:splat?y=1
/frag /about#part
/proxied /about.html 200
/proxied/* /missing/:splat 200
/seven /about 307
/eight https://example.com 308
/multi/:a/:b /docs/:b/:a
/host/* //:splat 302
/late /data.json
`;
const _headers = `
/*
  X-All: yes
  X-Twice: one
/about*
  X-Twice: two
  X-Path: :splat
  ! ETag
/user/:name
  X-Name: :name
https://*/style.css
  X-Host: :splat
/data.json
  Cache-Control: max-age=60
  X-List: a
  X-List: b
`;

const WORKER = `export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (pathname.startsWith("/env/")) {
      return env.ASSETS.fetch(new Request(new URL(pathname.slice(4), request.url), request));
    }
    return new Response("worker " + request.method + " " + pathname);
  },
};`;

interface Case {
  readonly html_handling?: string;
  readonly not_found_handling?: string;
  readonly run_worker_first?: boolean | string[];
  readonly rules?: boolean;
  readonly worker?: boolean;
}

const CASES: Record<string, Case> = {
  defaults: {},
  "auto, 404 page, rules": { not_found_handling: "404-page", rules: true },
  "auto, single page": { not_found_handling: "single-page-application" },
  force: { html_handling: "force-trailing-slash", not_found_handling: "404-page" },
  drop: { html_handling: "drop-trailing-slash", not_found_handling: "single-page-application" },
  none: { html_handling: "none", not_found_handling: "404-page", rules: true },
  worker: { worker: true, rules: true },
  "worker, single page": { worker: true, not_found_handling: "single-page-application" },
  "worker first": { worker: true, run_worker_first: true },
  "worker first in places": {
    worker: true,
    run_worker_first: ["/docs/*", "!/docs/guide*", "/about"],
    not_found_handling: "404-page",
  },
};

const REQUESTS: Outgoing[] = [
  {},
  { method: "HEAD" },
  { method: "POST" },
  { headers: { "sec-fetch-mode": "navigate" } },
  { headers: { authorization: "Basic x" } },
];

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform();
});
afterAll(() => platform.stop());

describe("as Miniflare does", { timeout: 120_000 }, () => {
  test.each(Object.entries(CASES))("%s", async (title, { rules, worker, ...config }) => {
    const name = title.replaceAll(/\W+/g, "-");
    const bindings = worker ? [{ type: "assets", name: "ASSETS" }] : [];
    await deploySite(platform, name, {
      files: FILES,
      config: { ...config, ...(rules && { _redirects, _headers }) },
      metadata: { bindings },
      ...(worker && { worker: WORKER }),
    });
    const files = rules ? { ...FILES, _redirects, _headers } : FILES;
    const directory = await createProject(
      Object.fromEntries(Object.entries(files).map(([path, text]) => [`site/${path}`, text])),
    );
    const { run_worker_first: first } = config;
    const miniflare = new Miniflare(
      convertV4MiniflareOptions({
        name,
        modules: true,
        script: worker ? WORKER : "export default {}",
        compatibilityDate: "2026-11-01",
        assets: {
          directory: `${directory}/site`,
          binding: "ASSETS",
          routerConfig: { has_user_worker: worker === true },
          ...(first !== undefined && { run_worker_first: first }),
          assetConfig: {
            html_handling: config.html_handling,
            not_found_handling: config.not_found_handling,
            compatibility_date: "2026-11-01",
          },
        },
      } as never),
    );
    try {
      const theirs = (await miniflare.ready).origin;
      const port = new URL(platform.wranglerEnv.SKEP_URL).port;
      const ours = `http://${name}.production.localhost:${port}`;
      const paths = worker ? [...PATHS, ...PATHS.map((path) => `/env${path}`)] : PATHS;
      for (const request of REQUESTS) {
        for (const path of paths) {
          const wanted = await summaryOf(theirs, path, request);
          const what = `${request.method ?? "GET"} ${path} ${JSON.stringify(request.headers ?? {})}`;
          expect(await summaryOf(ours, path, request), what).toEqual(wanted);
        }
      }
    } finally {
      await miniflare.dispose();
    }
  });
});

/** What depends on the machine, on timing, or on how contents are named, is left out. */
async function summaryOf(origin: string, path: string, request: Outgoing) {
  const response = await send(origin + path, request);
  const { hostname } = new URL(origin);
  const headers = [...response.headers]
    .filter(([name]) => !IGNORED.has(name))
    .map(([name, value]) => `${name}: ${value.replaceAll(hostname, "host")}`);
  const hasEtag = response.headers.has("etag");
  return { status: response.status, headers, hasEtag, body: await response.text() };
}

const IGNORED = new Set(
  (
    "cf-cache-status date connection keep-alive transfer-encoding content-length " +
    "etag server-timing x-mf-additional-response-log cf-ray server"
  ).split(" "),
);
