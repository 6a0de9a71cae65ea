import { beforeAll, describe, expect, it } from "vitest";
import {
  ACCOUNT,
  bootstrap,
  call,
  deploy,
  helloForm,
  limitedToken,
  NAMESPACES,
  ROUTES,
  scriptPath,
} from "../hub/test/api.ts";
import { app } from "./app.ts";
import { RULES } from "./permissions.ts";

/** The URL of a tail, or of a file of a database, is a credential itself. */
const WITHOUT_TOKEN = ["/healthz", "/tails/:tail", "/d1-files/:database/:token"];

/** Middleware is registered for all methods. The health check stands before it. */
const routes = app.routes
  .filter(
    ({ method, path }) =>
      method !== "ALL" && !WITHOUT_TOKEN.includes(path) && !path.includes("/assets/upload"),
  )
  .map(({ method, path }) => `${method} ${path}`);

beforeAll(async () => {
  await bootstrap();
  await deploy("hello", helloForm("hi"));
});

describe("every route of the API", () => {
  it.each([...new Set(routes)])(
    "%s says what it needs, and what it is called if it changes anything",
    (route) => {
      const rule = RULES[route];
      expect(rule, "add it to src/api/permissions.ts").toBeDefined();
      expect(rule?.action === undefined).toBe(route.startsWith("GET "));
    },
  );

  it("with a rule exists", () => {
    expect(Object.keys(RULES).filter((name) => !routes.includes(name))).toEqual([]);
  });
});

describe("permissions", () => {
  const headers = async (...permissions: string[]) => ({
    authorization: `Bearer ${await limitedToken(crypto.randomUUID(), { permissions })}`,
  });

  it.each<[string, string, object | undefined, string]>([
    ["GET", `${scriptPath("hello")}/settings`, undefined, "read"],
    ["PUT", `${scriptPath("hello")}/tags`, ["a"], "deploy"],
    ["PUT", `${scriptPath("hello")}/limits`, {}, "admin"],
    ["POST", `${scriptPath("hello")}/tails`, {}, "tail"],
    ["POST", `${NAMESPACES}/production/tails`, {}, "tail"],
    ["GET", `${scriptPath("hello")}/logs`, undefined, "tail"],
    ["PUT", `${NAMESPACES}/production`, { trusted_workers: false }, "admin"],
    ["GET", `/accounts/${ACCOUNT}/tokens`, undefined, "admin"],
    ["GET", `/user/tokens`, undefined, "admin"],
    ["GET", `/accounts/${ACCOUNT}/audit_logs`, undefined, "admin"],
  ])("%s %s needs its own, and all others do not help", async (method, path, body, needed) => {
    const others = ["read", "deploy", "data", "tail", "admin"].filter((each) => each !== needed);
    const refused = await call(method, path, body, await headers(...others));
    expect([refused.status, refused.errors[0]?.code]).toEqual([403, 10000]);
    expect(refused.errors[0]?.message).toContain(`lacks the permission '${needed}'`);
    expect((await call(method, path, body, await headers(needed))).status).toBe(200);
  });
});

describe("a token for some namespaces", () => {
  let own: Record<string, string>;
  let workers: Record<string, string>;

  beforeAll(async () => {
    await call("POST", NAMESPACES, { name: "other" });
    await call("PUT", scriptPath("secretive", "other"), helloForm("hi"));
    await call("POST", ROUTES, {
      pattern: "other.example.com/*",
      namespace: "other",
      script: null,
    });
    own = { authorization: `Bearer ${await limitedToken("own", { namespaces: ["production"] })}` };
    workers = { authorization: `Bearer ${await limitedToken("ws", { namespaces: ["workers"] })}` };
  });

  it("sees no other in a list", async () => {
    const { result } = await call("GET", NAMESPACES, undefined, own);
    expect(result.map((each: { namespace_name: string }) => each.namespace_name)).toEqual([
      "production",
    ]);
    expect((await call("GET", ROUTES, undefined, own)).result).toEqual([]);
  });

  it.each([
    ["GET", `${NAMESPACES}/other/scripts`],
    ["GET", scriptPath("secretive", "other")],
    ["DELETE", scriptPath("secretive", "other")],
    ["POST", NAMESPACES],
    ["GET", `/accounts/${ACCOUNT}/tokens`],
    ["POST", `/accounts/${ACCOUNT}/tokens`],
    ["GET", `/accounts/${ACCOUNT}/audit_logs`],
    ["GET", `/accounts/${ACCOUNT}/workers/scripts`],
    ["PUT", `/accounts/${ACCOUNT}/workers/scripts/x`],
    // The path as it is matched, not as it is written.
    ["GET", `${NAMESPACES}//other/scripts/`],
    ["GET", `${NAMESPACES}/%6Fther/scripts`],
  ])("is refused %s %s", async (method, path) => {
    const body = method === "POST" ? { name: "x" } : undefined;
    const answer = await call(method, path, body, own);
    expect([answer.status, answer.errors[0]?.code]).toEqual([403, 10000]);
  });

  it("neither finds nor makes routes to others", async () => {
    const [route] = (await call("GET", ROUTES)).result as { id: string }[];
    expect((await call("GET", `${ROUTES}/${route?.id}`, undefined, own)).status).toBe(404);
    expect((await call("DELETE", `${ROUTES}/${route?.id}`, undefined, own)).status).toBe(404);
    const body = { pattern: "stolen.example.com/*", namespace: "other", script: "secretive" };
    expect((await call("POST", ROUTES, body, own)).status).toBe(403);
  });

  it("finds no account Worker, unless it names their subdomain", async () => {
    const path = `/accounts/${ACCOUNT}/workers/scripts/x`;
    const change = async (headers: Record<string, string>) =>
      (await call("PUT", path, "", headers)).errors[0]?.code;
    expect((await call("GET", `${path}/settings`, undefined, own)).errors[0]?.code).toBe(10007);
    expect(await change(own)).toBe(10000);
    expect(await change(workers)).not.toBe(10000);
    expect((await call("GET", `${NAMESPACES}/production`, undefined, workers)).status).toBe(403);
  });
});
