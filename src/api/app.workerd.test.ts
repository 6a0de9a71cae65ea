import { beforeAll, describe, expect, it } from "vitest";
import {
  ACCOUNT,
  bootstrap,
  call,
  hub,
  NAMESPACES,
  request,
  limitedToken,
  TOKEN,
} from "../hub/test/api.ts";

beforeAll(async () => {
  await bootstrap();
});

describe("authentication", () => {
  it("is not asked of the health check", async () => {
    const response = await request("GET", "/../../healthz", { headers: { authorization: "none" } });
    expect(await response.text()).toBe("ok");
  });

  it.each<[string, Record<string, string>, number, number]>([
    ["no credentials", { authorization: "" }, 401, 9106],
    ["a wrong token", { authorization: "Bearer wrong" }, 401, 9109],
    ["a wrong key", { authorization: "", "x-auth-email": "a@b", "x-auth-key": "wrong" }, 401, 9109],
    ["another scheme", { authorization: `Basic ${TOKEN}` }, 401, 9106],
  ])("of %s is refused", async (_what, headers, status, code) => {
    const answer = await call("GET", NAMESPACES, undefined, headers);
    expect([answer.status, answer.success, answer.errors[0]?.code]).toEqual([status, false, code]);
    expect(answer.errors[0]?.message).not.toContain(TOKEN);
  });

  it("takes the token as X-Auth-Key too", async () => {
    const headers = { authorization: "", "x-auth-email": "a@b", "x-auth-key": TOKEN };
    expect((await call("GET", NAMESPACES, undefined, headers)).success).toBe(true);
  });

  it("refuses another account", async () => {
    const answer = await call("GET", "/accounts/another/workers/dispatch/namespaces");
    expect([answer.status, answer.errors[0]?.code]).toEqual([403, 10000]);
  });

  it("refuses an expired token", async () => {
    const token = await limitedToken("expired", { expiresOn: Date.now() - 1 });
    const answer = await call("GET", NAMESPACES, undefined, { authorization: `Bearer ${token}` });
    expect([answer.status, answer.errors[0]?.code]).toEqual([401, 9109]);
  });

  it("holds a token to its permissions", async () => {
    const token = await limitedToken("reader", { permissions: ["read"] });
    const headers = { authorization: `Bearer ${token}` };
    expect((await call("GET", NAMESPACES, undefined, headers)).success).toBe(true);
    expect((await call("POST", NAMESPACES, { name: "x" }, headers)).status).toBe(403);
  });

  it("holds a token to its namespaces", async () => {
    const token = await limitedToken("limited", { namespaces: ["production"] });
    const headers = { authorization: `Bearer ${token}` };
    const seen = async (path: string) => (await call("GET", path, undefined, headers)).status;
    expect(await seen(`${NAMESPACES}/production/scripts`)).toBe(200);
    expect(await seen(`${NAMESPACES}/other/scripts`)).toBe(403);
  });
});

describe("paths", () => {
  it.each(["//accounts", "/accounts/", "/accounts//"])("%s is /accounts", async (path) => {
    const { result } = await call("GET", path);
    expect(result).toEqual([expect.objectContaining({ id: ACCOUNT, name: "Test" })]);
  });

  it.each([
    ["GET", "/zones/x/dns_records"],
    ["POST", "/user"],
    ["GET", `/accounts/${ACCOUNT}/nothing`],
  ])("%s %s leads nowhere", async (method, path) => {
    const answer = await call(method, path);
    expect([answer.status, answer.errors[0]?.code]).toEqual([404, 7003]);
  });
});

describe("what whoami asks", () => {
  it("names the token, the user and the one account", async () => {
    expect((await call("GET", "/user/tokens/verify")).result).toMatchObject({ status: "active" });
    expect((await call("GET", "/user")).result.email).toBe("operator@localhost");
    const { result } = await call("GET", "/memberships?page=1");
    expect(result).toEqual([
      expect.objectContaining({ account: expect.objectContaining({ id: ACCOUNT }) }),
    ]);
  });

  it("ends with an empty page, which the SDK waits for", async () => {
    const first = await call("GET", "/accounts?page=1");
    expect([first.result.length, first.result_info]).toMatchObject([
      1,
      { page: 1, total_count: 1, total_pages: 1 },
    ]);
    expect((await call("GET", "/accounts?page=2")).result).toEqual([]);
  });
});

describe("Workers outside of a namespace", () => {
  it.each([
    `/workers/services/x`,
    `/workers/scripts/x/secrets`,
    `/workers/scripts/x/settings`,
    `/workers/scripts/x/deployments`,
    `/workers/scripts/x/versions`,
    `/workers/scripts/x/subdomain`,
    `/workers/workers/x`,
    `/workers/workers/x/versions/latest`,
  ])("%s tells wrangler that there is none", async (path) => {
    const answer = await call("GET", `/accounts/${ACCOUNT}${path}`);
    expect([answer.status, answer.errors[0]?.code]).toEqual([404, 10007]);
  });
});

it("answers a bug with a generic text", async () => {
  const broken = { ...hub, REGISTRY: undefined };
  const { app } = await import("./app.ts");
  const response = await app.request(
    "http://api/client/v4/user",
    { headers: { authorization: "Bearer x" } },
    broken,
  );
  expect(response.status).toBe(500);
  expect(await response.json()).toMatchObject({ success: false, errors: [{ code: 10013 }] });
});
