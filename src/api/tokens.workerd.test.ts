import { runInDurableObject } from "cloudflare:test";
import { beforeAll, describe, expect, it } from "vitest";
import { ACCOUNT, bootstrap, call, hub, NAMESPACES, request, TOKEN } from "../hub/test/api.ts";
import { migrate } from "../registry/schema.ts";

const TOKENS = `/accounts/${ACCOUNT}/tokens`;
const WHOLE = `com.cloudflare.api.account.${ACCOUNT}`;
const ofNamespace = (name: string) => `com.cloudflare.edge.worker.namespace.${ACCOUNT}_${name}`;

beforeAll(async () => {
  await bootstrap();
});

function wanted(
  more: { groups?: string[]; on?: string[]; name?: string; expires_on?: string } = {},
) {
  const { groups = ["read"], on = [WHOLE], name = "ci", ...rest } = more;
  const resources = Object.fromEntries(on.map((each) => [each, "*"]));
  const permission_groups = groups.map((id) => ({ id }));
  return { name, policies: [{ effect: "allow", permission_groups, resources }], ...rest };
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

async function rows(): Promise<string> {
  return runInDurableObject(hub.REGISTRY.getByName("registry"), (_instance, { storage }) =>
    JSON.stringify(storage.sql.exec("SELECT * FROM tokens").toArray()),
  );
}

describe("a token", () => {
  it("is shown once, and stored by its hash alone", async () => {
    const { result } = await call("POST", TOKENS, wanted());
    expect(result.value).toMatch(/^skep_[\w-]{43}$/);
    expect((await call("GET", NAMESPACES, undefined, bearer(result.value))).success).toBe(true);
    const listed = await call("GET", TOKENS);
    expect(listed.result).toContainEqual(expect.objectContaining({ id: result.id, name: "ci" }));
    const seen = JSON.stringify([listed, await call("GET", `${TOKENS}/${result.id}`)]);
    expect(seen + (await rows())).not.toContain(result.value);
  });

  it("is good for nothing once it is deleted or rolled", async () => {
    const { result } = await call("POST", TOKENS, wanted());
    const works = async (token: string) =>
      (await call("GET", NAMESPACES, undefined, bearer(token))).status;
    const rolled = (await call("PUT", `${TOKENS}/${result.id}/value`, {})).result;
    expect([await works(result.value), await works(rolled)]).toEqual([401, 200]);
    expect((await call("DELETE", `${TOKENS}/${result.id}`)).result).toEqual({ id: result.id });
    expect(await works(rolled)).toBe(401);
    expect((await call("DELETE", `${TOKENS}/${result.id}`)).status).toBe(404);
  });

  it("belongs to the account or to a user, by where it was made", async () => {
    const verify = async (path: string, token: string) =>
      (await call("GET", `${path}/verify`, undefined, bearer(token))).errors[0]?.code ?? "active";
    const ofAccount = (await call("POST", TOKENS, wanted())).result.value;
    expect([await verify("/user/tokens", ofAccount), await verify(TOKENS, ofAccount)]).toEqual([
      1000,
      "active",
    ]);
    expect((await call("GET", "/user", undefined, bearer(ofAccount))).errors[0]?.code).toBe(9109);
    const ofUser = (await call("POST", "/user/tokens", wanted())).result.value;
    expect(await verify("/user/tokens", ofUser)).toBe("active");
  });

  it("follows a namespace that is renamed, and loses one that is deleted", async () => {
    await call("POST", NAMESPACES, { name: "old" });
    const on = [ofNamespace("old")];
    const { value } = (await call("POST", TOKENS, wanted({ on }))).result;
    const seen = async (name: string) =>
      (await call("GET", `${NAMESPACES}/${name}`, undefined, bearer(value))).status;
    await call("PUT", `${NAMESPACES}/old`, { name: "new" });
    await call("POST", NAMESPACES, { name: "old" });
    expect([await seen("new"), await seen("old")]).toEqual([200, 403]);
    await call("DELETE", `${NAMESPACES}/new`);
    await call("POST", NAMESPACES, { name: "new" });
    expect(await seen("new")).toBe(403);
  });

  it("is noted as used, at most once a minute", async () => {
    const { id, value } = (await call("POST", TOKENS, wanted())).result;
    const lastUsed = async () => (await call("GET", `${TOKENS}/${id}`)).result.last_used_on;
    expect(await lastUsed()).toBeNull();
    await call("GET", NAMESPACES, undefined, bearer(value));
    await expect.poll(lastUsed).not.toBeNull();
    const first = await lastUsed();
    await call("GET", NAMESPACES, undefined, bearer(value));
    expect(await lastUsed()).toBe(first);
  });

  it.each<[string, object, string]>([
    [
      "of an unknown permission",
      wanted({ groups: ["write"] }),
      "there is no permission group 'write'",
    ],
    [
      "on another account",
      wanted({ on: ["com.cloudflare.api.account.x"] }),
      "expected 'com.cloudflare",
    ],
    ["on no resource", wanted({ on: [] }), "policies[0].resources"],
    ["that is expired", wanted({ expires_on: "2020-01-01T00:00:00Z" }), "is past"],
    ["with a day that is none", wanted({ expires_on: "soon" }), "expires_on is 'soon'"],
    ["named like the platform's own", wanted({ name: "operator" }), "'operator'"],
    ["with a condition, which would not hold", { ...wanted(), condition: {} }, "condition"],
  ])("%s is refused", async (_what, body, message) => {
    const { status, errors } = await call("POST", TOKENS, body);
    expect(status).toBe(400);
    expect(errors[0]?.message).toContain(message);
  });

  it("on an unknown namespace is refused", async () => {
    const answer = await call("POST", TOKENS, wanted({ on: [ofNamespace("nowhere")] }));
    expect([answer.status, answer.errors[0]?.code]).toEqual([404, 100119]);
  });

  it("makes none that may more than itself", async () => {
    const { value } = (await call("POST", TOKENS, wanted({ groups: ["admin"] }))).result;
    const wide = (await call("POST", TOKENS, wanted({ groups: ["deploy"] }))).result;
    const make = async (...groups: string[]) =>
      (await call("POST", TOKENS, wanted({ groups }), bearer(value))).status;
    expect([await make("admin"), await make("admin", "deploy")]).toEqual([200, 403]);
    const rolled = await call("PUT", `${TOKENS}/${wide.id}/value`, {}, bearer(value));
    expect(rolled.status).toBe(403);
  });

  it("of the operator can be neither deleted nor rolled", async () => {
    const all = (await call("GET", TOKENS)).result as { id: string; name: string }[];
    const id = all.find(({ name }) => name === "operator")?.id;
    expect((await call("DELETE", `${TOKENS}/${id}`)).status).toBe(400);
    expect((await call("PUT", `${TOKENS}/${id}/value`, {})).status).toBe(400);
    expect((await call("GET", NAMESPACES)).success).toBe(true);
  });
});

it("a flood of wrong tokens is told to wait, and keeps no right one out", async () => {
  const statuses: number[] = [];
  for (let n = 0; n < 40; n++) {
    statuses.push((await call("GET", NAMESPACES, undefined, bearer(`wrong${n}`))).status);
  }
  expect(new Set(statuses)).toEqual(new Set([401, 429]));
  const late = await request("GET", NAMESPACES, { headers: bearer("wrong") });
  expect(Number(late.headers.get("retry-after"))).toBeGreaterThan(0);
  expect((await late.json<{ errors: object[] }>()).errors).toMatchObject([{ code: 971 }]);
  expect((await call("GET", NAMESPACES, undefined, bearer(TOKEN))).status).toBe(200);
});

it("tokens of an older Skep may what they could", async () => {
  const object = hub.REGISTRY.get(hub.REGISTRY.newUniqueId());
  const permissions = await runInDurableObject(object, async (_instance, { storage }) => {
    await storage.deleteAll();
    migrate(storage, 3);
    storage.sql.exec(`INSERT INTO accounts (id, name, created_on) VALUES ('a', 'A', 0)`);
    for (const [id, may] of Object.entries({
      r: `["read"]`,
      w: `["write"]`,
      rw: `["read","write"]`,
    })) {
      storage.sql.exec(
        `INSERT INTO tokens (id, hash, account_id, name, permissions, created_on) VALUES (?1, ?1, 'a', ?1, ?2, 0)`,
        id,
        may,
      );
    }
    migrate(storage);
    return storage.sql.exec(`SELECT id, permissions FROM tokens ORDER BY id`).toArray();
  });
  expect(permissions).toEqual([
    { id: "r", permissions: `["read"]` },
    { id: "rw", permissions: `["read","deploy","data","tail","admin"]` },
    { id: "w", permissions: `["deploy","data","tail","admin"]` },
  ]);
});

it("tokens that could deploy may read and write what functions keep", async () => {
  const object = hub.REGISTRY.get(hub.REGISTRY.newUniqueId());
  const permissions = await runInDurableObject(object, async (_instance, { storage }) => {
    await storage.deleteAll();
    migrate(storage, 4);
    storage.sql.exec(`
      INSERT INTO accounts (id, name, created_on) VALUES ('a', 'A', 0);
      INSERT INTO tokens (id, hash, account_id, name, permissions, created_on)
      VALUES ('d', 'd', 'a', 'd', '["read","deploy"]', 0), ('t', 't', 'a', 't', '["read","tail"]', 0);
    `);
    migrate(storage);
    migrate(storage);
    return storage.sql.exec(`SELECT id, permissions FROM tokens ORDER BY id`).toArray();
  });
  expect(permissions).toEqual([
    { id: "d", permissions: `["read","deploy","data"]` },
    { id: "t", permissions: `["read","tail"]` },
  ]);
});
