import { runInDurableObject } from "cloudflare:test";
import { beforeAll, describe, expect, test } from "vitest";
import type { AssetManifest } from "../protocol/assets.ts";
import type { AssetsState, ScriptState } from "../protocol/routing.ts";
import { signSession, verifySession } from "./assets/session-token.ts";
import {
  ACCOUNT,
  bootstrap,
  call,
  edgeGate,
  hub,
  NAMESPACES,
  request,
  scriptPath,
  uploadForm,
  ES_MODULE,
  type Answer,
} from "../hub/test/api.ts";

const registry = hub.REGISTRY.getByName("registry");

beforeAll(async () => {
  await bootstrap();
  await call("POST", NAMESPACES, { name: "other" });
});

/** Contents of these tests are named by what they are. */
const hashOf = (text: string) => text.padEnd(32, "0");
const FACE = hashOf("face");
const CAFE = hashOf("cafe");

function manifestOf(files: Record<string, string>) {
  const entries = Object.entries(files).map(([path, text]) => {
    return [path, { hash: hashOf(text), size: text.length }];
  });
  return { manifest: Object.fromEntries(entries) as object };
}

function open(script: string, files: Record<string, string>, namespace?: string): Promise<Answer> {
  const path = `${scriptPath(script, namespace)}/assets-upload-session`;
  return call("POST", path, manifestOf(files));
}

async function send(
  jwt: string,
  contents: Record<string, string>,
  type = "text/plain",
): Promise<Answer> {
  const form = new FormData();
  for (const [hash, text] of Object.entries(contents)) {
    form.set(hash, new File([btoa(text)], hash, { type }));
  }
  const path = `/accounts/${ACCOUNT}/workers/assets/upload?base64=true`;
  return call("POST", path, form, { authorization: `Bearer ${jwt}` });
}

/** Blobs that are held for an upload. */
function holds(): Promise<number> {
  return runInDurableObject(registry, (_instance, { storage }) => {
    const count = storage.sql.exec<{ count: number }>(`SELECT COUNT(*) AS count FROM uploads`);
    return count.one().count;
  });
}

/** The completion token of a session with these files. */
async function uploaded(script: string, files: Record<string, string>, namespace?: string) {
  const { result } = await open(script, files, namespace);
  if (result.buckets.length === 0) return result.jwt as string;
  const missing = (result.buckets as string[][]).flat();
  const contents = Object.values(files)
    .map((text) => [hashOf(text), text] as const)
    .filter(([hash]) => missing.includes(hash));
  return (await send(result.jwt, Object.fromEntries(contents))).result.jwt as string;
}

function put(script: string, metadata: object, namespace?: string): Promise<Answer> {
  const form = uploadForm({ compatibility_date: "2026-01-01", ...metadata });
  return call("PUT", scriptPath(script, namespace), form);
}

async function assetsOf(
  script: string,
  namespace = "production",
): Promise<AssetsState | undefined> {
  const query = `namespace=${namespace}&script=${script}`;
  const response = await edgeGate.fetch(`http://hub/resolve?${query}`);
  return (await response.json<ScriptState>()).assets;
}

async function manifest(script: string, namespace?: string): Promise<AssetManifest> {
  const state = await assetsOf(script, namespace);
  return (await edgeGate.fetch(`http://hub/blobs/${state?.manifest}`)).json();
}

async function blobs(): Promise<string[]> {
  return runInDurableObject(registry, (_, { storage }) =>
    storage.sql
      .exec<{ hash: string }>(`SELECT hash FROM blobs`)
      .toArray()
      .map(({ hash }) => hash),
  );
}

describe("upload sessions", () => {
  test("ask for what is missing, and end with the token of a deploy", async () => {
    const files = { "/a.txt": "face", "/b.txt": "cafe", "/copy.txt": "face" };
    const { status, result } = await open("session", files);
    expect(status).toBe(200);
    expect(result.buckets.flat().toSorted()).toEqual([CAFE, FACE]);
    const payload = JSON.parse(atob(result.jwt.split(".")[1])) as { exp: number };
    expect(payload.exp * 1000).toBeGreaterThan(Date.now());

    expect(await send(result.jwt, { [FACE]: "face" })).toMatchObject({ status: 202, result: {} });
    const done = await send(result.jwt, { [CAFE]: "cafe" }, "application/null");
    expect(done.status).toBe(201);
    expect((await put("session", { assets: { jwt: done.result.jwt } })).errors).toEqual([]);
    expect(await manifest("session")).toMatchObject({
      files: {
        "/a.txt": { hash: FACE, size: 4, contentType: "text/plain" },
        "/b.txt": { hash: CAFE, size: 4, contentType: null },
        "/copy.txt": { hash: FACE },
      },
      redirects: [],
      headers: [],
    });
    expect(await assetsOf("session")).toMatchObject({
      htmlHandling: "auto-trailing-slash",
      notFoundHandling: "none",
      runWorkerFirst: false,
      takesNavigations: true,
      isOnly: true,
    });
  });

  test("have nothing to ask for what the namespace has, but do in another namespace", async () => {
    const files = { "/a.txt": "feed" };
    await uploaded("first", files);
    const again = await open("second", files);
    expect(again.result.buckets).toEqual([]);
    expect((await put("second", { assets: { jwt: again.result.jwt } })).errors).toEqual([]);
    const elsewhere = await open("first", files, "other");
    expect(elsewhere.result.buckets).toEqual([[hashOf("feed")]]);
    // Under the same hash another namespace may mean something else.
    const form = { "/a.txt": { hash: hashOf("feed"), size: 5 } };
    const path = `${scriptPath("first", "other")}/assets-upload-session`;
    const opened = await call("POST", path, { manifest: form });
    const sent = await send(opened.result.jwt, { [hashOf("feed")]: "other" });
    await put("first", { assets: { jwt: sent.result.jwt } }, "other");
    const { files: others } = await manifest("first", "other");
    const { files: ours } = await manifest("second");
    expect(others["/a.txt"]?.blob).not.toBe(ours["/a.txt"]?.blob);
  });

  test("take one content as it is, also an empty one", async () => {
    const { result } = await open("single", { "/empty": "", "/f": "fade" });
    const single = (hash: string, body: string) =>
      request("POST", `/accounts/${ACCOUNT}/workers/assets/upload/${hash}`, {
        body,
        headers: { authorization: `Bearer ${result.jwt}`, "content-type": "image/png" },
      });
    expect((await single(hashOf(""), "")).status).toBe(202);
    const last = await single(hashOf("fade"), "fade");
    expect(last.status).toBe(201);
    const { result: done } = await last.json<Answer>();
    await put("single", { assets: { jwt: done.jwt } });
    expect((await manifest("single")).files["/f"]).toMatchObject({ contentType: "image/png" });
  });

  test("refuse what was not announced, or is otherwise", async () => {
    const { result } = await open("strict", { "/a": "aaaa" });
    const refusals = [
      await send(result.jwt, { [hashOf("bbbb")]: "bbbb" }),
      await send(result.jwt, { [hashOf("aaaa")]: "aaaaa" }),
    ];
    expect(refusals.map(({ errors }) => errors[0]?.message)).toEqual([
      expect.stringContaining("knows of no asset with the hash 'bbbb"),
      expect.stringContaining("has 5 bytes, the session was told of 4"),
    ]);
    await send(result.jwt, { [hashOf("aaaa")]: "aaaa" });
    const other = await send(result.jwt, { [hashOf("aaaa")]: "AAAA" });
    expect(other.errors[0]?.message).toContain("has other content than what was uploaded");
    expect(await holds()).toBe(0);
  });

  test.each([
    ["a path without a slash", { a: { hash: FACE, size: 1 } }, "a path begins with /"],
    ["a hash that is none", { "/a": { hash: "../x", size: 1 } }, "is no hash"],
    ["a large asset", { "/a": { hash: FACE, size: 25 * 1024 * 1024 + 1 } }, "may have 26214400"],
    [
      "one hash for two sizes",
      { "/a": { hash: FACE, size: 1 }, "/b": { hash: FACE, size: 2 } },
      "has two sizes",
    ],
    [
      "too many assets",
      Object.fromEntries(
        Array.from({ length: 20_001 }, (_, n) => [`/${n}`, { hash: FACE, size: 1 }]),
      ),
      "20001 static assets are more than the 20000",
    ],
  ])("refuse %s", async (_, files, message) => {
    const path = `${scriptPath("refused")}/assets-upload-session`;
    const { status, errors } = await call("POST", path, { manifest: files });
    expect(status).toBe(400);
    expect(errors[0]?.message).toContain(message);
  });

  test("their tokens are for that script and that step only, and no API tokens", async () => {
    const { result } = await open("bound", { "/a": "beef" });
    const done = await send(result.jwt, { [hashOf("beef")]: "beef" });
    const messageOf = ({ errors }: Answer) => errors[0]?.message ?? "";
    const assets = { jwt: done.result.jwt };
    expect(messageOf(await put("bound", { assets: { jwt: result.jwt } }))).toContain("unfinished");
    expect(messageOf(await put("another", { assets }))).toContain("for the script 'bound'");
    expect(messageOf(await put("bound", { assets }, "other"))).toContain("another namespace");
    const forged = `${done.result.jwt.slice(0, -3)}AAA`;
    expect(messageOf(await put("bound", { assets: { jwt: forged } }))).toContain("not valid");
    const read = { authorization: `Bearer ${done.result.jwt}` };
    expect((await call("GET", scriptPath("bound"), undefined, read)).status).toBe(401);
    expect((await send("token-of-the-operator", {})).status).toBe(401);
    const [head, , signature] = done.result.jwt.split(".");
    const payload = btoa(JSON.stringify({ use: "complete" })).replaceAll("=", "");
    expect((await send(`${head}.${payload}.${signature}`, {})).status).toBe(401);
    const old = await signSession(hub.SECRET_KEY, {
      exp: Math.floor(Date.now() / 1000) - 1,
      use: "upload",
      session: "x",
      account: ACCOUNT,
      namespace: "x",
      script: "bound",
    });
    expect((await send(old, {})).status).toBe(401);
  });
});

describe("versions", () => {
  const WORKER = [
    "index.js",
    `export default { fetch: () => new Response("hi") };`,
    ES_MODULE,
  ] as const;

  test("keep their assets when settings, secrets or code change, and lose them by an upload without", async () => {
    const path = scriptPath("kept");
    const jwt = await uploaded("kept", { "/a": "dead" });
    const metadata = {
      main_module: "index.js",
      bindings: [{ type: "assets", name: "ASSETS" }],
      assets: { jwt, config: { html_handling: "none", run_worker_first: ["/api/*"] } },
    };
    const form = uploadForm(metadata, WORKER);
    expect((await call("PUT", path, form)).result).toMatchObject({ has_assets: true });
    const state = await assetsOf("kept");
    expect(state).toMatchObject({
      htmlHandling: "none",
      runWorkerFirst: ["/api/*"],
      takesNavigations: false,
      isOnly: false,
    });
    await call("PUT", `${path}/secrets`, { name: "S", text: "x", type: "secret_text" });
    expect(await assetsOf("kept")).toEqual(state);
    const date = { settings: { compatibility_date: "2026-01-01" } };
    expect((await call("PATCH", `${path}/settings`, date)).errors).toEqual([]);
    expect(await assetsOf("kept")).toEqual({ ...state, takesNavigations: true });

    const keeps = { ...metadata, assets: undefined, keep_assets: true };
    expect((await call("PUT", path, uploadForm(keeps, WORKER))).errors).toEqual([]);
    expect((await assetsOf("kept"))?.manifest).toBe(state?.manifest);
    const other = { ...keeps, assets: { config: { not_found_handling: "404-page" } } };
    expect((await call("PUT", path, uploadForm(other, WORKER))).errors).toEqual([]);
    expect(await assetsOf("kept")).toMatchObject({ notFoundHandling: "404-page" });
    expect((await manifest("kept")).files["/a"]).toMatchObject({ hash: hashOf("dead") });

    const without = uploadForm({ main_module: "index.js" }, WORKER);
    expect((await call("PUT", path, without)).result).toMatchObject({ has_assets: false });
    expect(await assetsOf("kept")).toBeUndefined();
  });

  test.each([
    [{ keep_assets: true }, "has no assets to keep"],
    [{ assets: { config: {} } }, "metadata.assets.jwt is missing"],
    [
      { main_module: "index.js", bindings: [{ type: "assets", name: "A" }] },
      "binding A of type assets needs static assets",
    ],
  ])("are refused: %j", async (metadata, message) => {
    const form = uploadForm(metadata, ...("main_module" in metadata ? [WORKER] : []));
    const { errors } = await call("PUT", scriptPath("never"), form);
    expect(errors[0]?.message).toContain(message);
  });

  test.each([
    [{ html_handling: "sometimes" }, "config.html_handling"],
    [{ base_path: "/app/" }, "base_path: is not supported"],
    [{ run_worker_first: ["api/*"] }, "'api/*' begins neither with / nor with !/"],
    [{ run_worker_first: ["!/api/*"] }, "at least one pattern"],
    [{ _redirects: "\n/* /index.html 200" }, "Invalid _redirects configuration:\nLine 2: Infinite"],
    [{ _redirects: "/a" }, "Line 1: Expected"],
    [{ _redirects: "/a /b 418" }, "Valid status codes are 200, 301"],
    [{ _redirects: "/a https://example.com 200" }, "status 200 leads to a path"],
    [{ _redirects: "/a /b\n/a /c" }, "Line 2: There is a rule for /a already"],
    [{ _redirects: "/*/* /b" }, "Only one * is allowed"],
    [
      { _redirects: Array.from({ length: 101 }, (_, n) => `/${n}/* /x`).join("\n") },
      "Line 101: No more than 100 rules",
    ],
    [{ _headers: "X-A: b" }, "Invalid _headers configuration:\nLine 1: A path comes first"],
    [{ _headers: "/a\n/b\n  X: y" }, "Line 1: No headers are given for /a"],
    [{ _headers: "/a\n  X-Bad name: y" }, "is no header that HTTP allows"],
    [{ _headers: "/a\n  X-Skep-Error: 1101" }, "are the platform's own"],
  ])("are refused with the configuration %j", async (config, message) => {
    const jwt = await uploaded("config", { "/a": "abba" });
    const { status, errors } = await put("config", { assets: { jwt, config } });
    expect(status).toBe(400);
    expect(errors[0]?.message).toContain(message);
  });
});

test("tokens of sessions outlive a new key, and not the old one", async () => {
  const newKey = () => crypto.getRandomValues(new Uint8Array(32)).toBase64();
  const [old, fresh] = [newKey(), newKey()];
  const claims = {
    exp: 2_000_000_000,
    use: "upload",
    session: "s",
    account: ACCOUNT,
    namespace: "n",
    script: "a",
  } as const;
  const before = await signSession(old, claims);
  const both = `${fresh},${old}`;
  expect(await verifySession(both, before, 0)).toEqual(claims);
  expect(await verifySession(fresh, before, 0)).toBeNull();
  expect(await verifySession(fresh, await signSession(both, claims), 0)).toEqual(claims);
});

describe("what nothing names any more is deleted", () => {
  async function expire(): Promise<void> {
    await runInDurableObject(registry, async (instance, { storage }) => {
      storage.sql.exec(`UPDATE asset_sessions SET expires_on = 1`);
      storage.sql.exec(`UPDATE asset_manifests SET created_on = 1`);
      storage.sql.exec(`UPDATE uploads SET created_on = 1`);
      await instance.sweep();
    });
  }

  test("the contents of a session that came to nothing, when it has expired", async () => {
    await expire();
    const before = await blobs();
    const { result } = await open("given-up", { "/a": "0dd0", "/b": "0dd1" });
    await send(result.jwt, { [hashOf("0dd0")]: "0dd0" });
    const added = (await blobs()).filter((hash) => !before.includes(hash));
    expect(added).toHaveLength(2);
    await expire();
    expect((await blobs()).toSorted()).toEqual(before.toSorted());
    const statuses = added.map(
      async (hash) => (await hub.BLOBS.fetch(`http://blobs/${hash}`)).status,
    );
    expect(await Promise.all(statuses)).toEqual([404, 404]);
    const late = await send(result.jwt, { [hashOf("0dd1")]: "0dd1" });
    expect(late.errors[0]?.message).toContain("has expired");
  });

  test("the sessions beyond 200 of a namespace, the oldest first, and what they name", async () => {
    await expire();
    const before = await blobs();
    const named = async () => (await blobs()).length - before.length;
    const first = (await open("many", { "/0": "0000" })).result.jwt as string;
    const second = (await open("many", { "/1": "0001" })).result.jwt as string;
    const elsewhere = (await open("many", { "/0": "0000" }, "other")).result.jwt as string;
    for (let n = 2; n <= 200; n++) {
      await open("many", { [`/${n}`]: String(n).padStart(4, "0") });
    }
    const late = await send(first, { [hashOf("0000")]: "0000" });
    expect(late).toMatchObject({
      status: 401,
      errors: [{ message: expect.stringContaining("made room for later ones") }],
    });
    expect((await send(second, { [hashOf("0001")]: "0001" })).status).toBe(201);
    expect((await send(elsewhere, { [hashOf("0000")]: "0000" })).status).toBe(201);
    await runInDurableObject(registry, (instance) => instance.sweep());
    // Manifests of the sessions that there are, and two contents; that of the first is also the other namespace's.
    expect(await named()).toBe(201 + 2);
  });

  test("the assets of a script, with the script, but for those that others have", async () => {
    for (const [script, text] of [
      ["gone", "1dd1"],
      ["stays", "2dd2"],
    ] as const) {
      const jwt = await uploaded(script, { "/own": text, "/shared": "3dd3" });
      expect((await put(script, { assets: { jwt } })).errors).toEqual([]);
    }
    await expire();
    const { files } = await manifest("gone");
    const stored = async () => {
      const paths = ["/own", "/shared"];
      const all = await blobs();
      return paths.filter((path) => all.includes(files[path]?.blob ?? ""));
    };
    expect(await stored()).toEqual(["/own", "/shared"]);
    await call("DELETE", scriptPath("gone"));
    await expire();
    expect(await stored()).toEqual(["/shared"]);
    expect((await manifest("stays")).files["/shared"]?.blob).toBe(files["/shared"]?.blob);
  });
});
