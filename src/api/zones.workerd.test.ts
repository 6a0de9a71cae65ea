/** Zones, and the routes and custom domains that lead from them to account Workers. */
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  ACCOUNT,
  bootstrap,
  call,
  edgeGate,
  helloForm,
  limitedToken,
  supervisorCalls,
} from "../hub/test/api.ts";

const A = `/accounts/${ACCOUNT}`;
const worker = (name: string) => `${A}/workers/scripts/${name}`;

let zone: string;
let routes: string;

beforeAll(async () => {
  await bootstrap();
  for (const name of ["shop", "cart"]) await call("PUT", worker(name), helloForm(name));
  zone = (await call("POST", "/zones", { name: "Example.com" })).result.id;
  routes = `/zones/${zone}/workers/routes`;
});

beforeEach(async () => {
  for (const { id } of (await call("GET", routes)).result) await call("DELETE", `${routes}/${id}`);
  for (const { id } of (await call("GET", `${A}/workers/domains`)).result) {
    await call("DELETE", `${A}/workers/domains/${id}`);
  }
});

/** What edges route by. */
async function routeTable(): Promise<Record<string, string | null>> {
  const { routes: all } = await (
    await edgeGate.fetch("http://hub/routes")
  ).json<{ routes: { pattern: string; namespace: string; script: string | null }[] }>();
  return Object.fromEntries(
    all.map(({ pattern, namespace, script }) => [pattern, `${namespace}/${script}`]),
  );
}

describe("zones", () => {
  it("are found by name, as wrangler looks for them, and by id", async () => {
    const found = await call("GET", `/zones?name=example.com&account.id=${ACCOUNT}`);
    expect(found.result).toMatchObject([{ id: zone, name: "example.com", status: "active" }]);
    expect((await call("GET", `/zones/${zone}`)).result).toEqual(found.result[0]);
    expect((await call("GET", "/zones?name=www.example.com")).result).toEqual([]);
    expect((await call("GET", "/zones?account.id=another")).result).toEqual([]);
    expect(await call("GET", "/zones/none")).toMatchObject({
      status: 404,
      errors: [{ code: 7003 }],
    });
  });

  it.each([
    ["localhost", "platform's own names"],
    ["example.com/x", "a domain such as"],
    ["com", "a domain such as"],
    ["", "a domain such as"],
    ["production.localhost", "those of the namespace 'production'"],
    ["www.workers.localhost", "those of the namespace 'workers'"],
  ])("cannot be %s", async (name, why) => {
    const { errors } = await call("POST", "/zones", { name });
    expect(errors).toMatchObject([{ code: 930021, message: expect.stringContaining(why) }]);
  });

  it("are there once, and belong to the token's account", async () => {
    const again = await call("POST", "/zones", { name: "example.com" });
    expect(again).toMatchObject({ errors: [{ code: 1061 }] });
    const other = await call("POST", "/zones", { name: "a.test", account: { id: "another" } });
    expect(other).toMatchObject({ status: 403, errors: [{ code: 10000 }] });
  });

  it("are nobody's whose token is for namespaces, or for reading", async () => {
    const tenant = await limitedToken("tenant", { namespaces: ["production"] });
    const reader = await limitedToken("reader", { permissions: ["read"] });
    const as = (token: string) => ({ authorization: `Bearer ${token}` });
    const list = (token: string) => call("GET", "/zones", undefined, as(token));
    const add = (token: string) => call("POST", "/zones", { name: "b.test" }, as(token));
    expect([(await list(tenant)).status, (await add(tenant)).status]).toEqual([403, 403]);
    expect([(await list(reader)).status, (await add(reader)).status]).toEqual([200, 403]);
    const put = await call("PUT", `${routes}/x`, { pattern: "example.com/*" }, as(tenant));
    expect(put.status).toBe(403);
  });

  it("go with their routes and custom domains", async () => {
    const { id } = (await call("POST", "/zones", { name: "gone.test" })).result;
    await call("PUT", `${worker("shop")}/routes`, [{ pattern: "gone.test/a" }]);
    await call("PUT", `${A}/workers/domains`, { hostname: "www.gone.test", service: "shop" });
    expect(Object.keys(await routeTable())).toEqual(["gone.test/a", "www.gone.test/*"]);
    expect((await call("DELETE", `/zones/${id}`)).result).toEqual({ id });
    expect(await routeTable()).toEqual({});
  });
});

describe("routes of a zone", () => {
  it("are created, listed, changed and deleted, at the edges too", async () => {
    await supervisorCalls();
    const { result } = await call("POST", routes, { pattern: "example.com/*", script: "shop" });
    expect(result).toMatchObject({ pattern: "example.com/*", script: "shop" });
    expect((await supervisorCalls()).map(({ path }) => path)).toEqual(["/routing", "/certificate"]);
    expect(await routeTable()).toEqual({ "example.com/*": "workers/shop" });
    const at = `${routes}/${result.id}`;
    expect((await call("GET", at)).result).toEqual(result);
    await call("PUT", at, { pattern: "*.example.com/*", script: "cart" });
    expect((await call("GET", routes)).result).toMatchObject([
      { pattern: "*.example.com/*", script: "cart" },
    ]);
    await call("PUT", at, { pattern: "*.example.com/*" });
    expect(await routeTable()).toEqual({ "*.example.com/*": "workers/null" });
    expect((await call("DELETE", at)).result).toEqual({ id: result.id });
    expect(await call("GET", at)).toMatchObject({ status: 404 });
  });

  it("and custom domains are not among the routes that need no zone", async () => {
    const ours = `${A}/workers/dispatch/routes`;
    const { result } = await call("POST", routes, { pattern: "example.com/*", script: "shop" });
    const domain = { hostname: "www.example.com", service: "shop" };
    const { id } = (await call("PUT", `${A}/workers/domains`, domain)).result;
    expect((await call("GET", ours)).result).toEqual([]);
    for (const at of [`${ours}/${result.id}`, `${ours}/${id}`]) {
      const change = { pattern: "example.org/*", namespace: "workers", script: "cart" };
      expect((await call("GET", at)).status).toBe(404);
      expect((await call("PUT", at, change)).status).toBe(404);
      expect((await call("DELETE", at)).status).toBe(404);
    }
    expect(Object.keys(await routeTable())).toEqual(["example.com/*", "www.example.com/*"]);
  });

  it.each([
    ["example.org/*", "is not in the zone 'example.com'"],
    ["badexample.com/*", "is not in the zone 'example.com'"],
    ["*/*", "is not in the zone 'example.com'"],
  ])("cannot be %s", async (pattern, why) => {
    const { errors } = await call("POST", routes, { pattern, script: "shop" });
    expect(errors).toMatchObject([{ code: 930020, message: expect.stringContaining(why) }]);
  });

  it("are all of a Worker's when wrangler puts them", async () => {
    const path = `${worker("shop")}/routes`;
    await call("PUT", path, [{ pattern: "example.com/a" }, { pattern: "example.com/b" }]);
    const kept = (await call("GET", path)).result[1];
    const put = await call("PUT", path, [
      { pattern: "Example.com/b", zone_name: "example.com" },
      { pattern: "example.com/c", zone_id: zone },
    ]);
    expect(put.result).toMatchObject([kept, { pattern: "example.com/c" }]);
    expect(Object.keys(await routeTable())).toEqual(["example.com/b", "example.com/c"]);
  });

  it("cannot be another Worker's, or outside of every zone; then nothing changes", async () => {
    await call("PUT", `${worker("shop")}/routes`, [{ pattern: "example.com/*" }]);
    const taken = await call("PUT", `${worker("cart")}/routes`, [
      { pattern: "example.com/cart" },
      { pattern: "example.com/*" },
    ]);
    expect(taken.errors).toMatchObject([
      { code: 10020, message: expect.stringContaining("leads to 'shop'") },
    ]);
    const outside = await call("PUT", `${worker("cart")}/routes`, [{ pattern: "www.far.test/*" }]);
    expect(outside.errors).toMatchObject([
      { code: 930020, message: expect.stringContaining("skep zone add www.far.test") },
    ]);
    expect(await routeTable()).toEqual({ "example.com/*": "workers/shop" });
  });
});

describe("custom domains", () => {
  const origins = (...hosts: string[]) => hosts.map((hostname) => ({ hostname }));
  const set = (script: string, hosts: string[], more: object = {}) =>
    call("PUT", `${worker(script)}/domains/records`, {
      override_scope: true,
      override_existing_origin: true,
      override_existing_dns_record: true,
      origins: origins(...hosts),
      ...more,
    });
  const changeset = (script: string, ...hosts: string[]) =>
    call("POST", `${worker(script)}/domains/changeset?replace_state=true`, origins(...hosts));

  it("are told as changes first, and then set", async () => {
    await set("shop", ["a.example.com", "b.example.com"]);
    await set("cart", ["c.example.com"]);
    await call("POST", routes, { pattern: "e.example.com/*", script: "cart" });
    const hosts = ["b", "c", "d", "e"].map((label) => `${label}.example.com`);
    const { result } = await changeset("shop", ...hosts);
    expect(result).toMatchObject({
      added: [{ hostname: "d.example.com" }],
      removed: [{ hostname: "a.example.com" }],
      updated: [
        { hostname: "b.example.com", service: "shop", modified: false },
        { hostname: "c.example.com", service: "cart", modified: true },
      ],
      conflicting: [{ hostname: "e.example.com" }],
    });
    const { id } = result.updated[1];
    const record = await call("GET", `${A}/workers/domains/records/${id}`);
    expect(record.result).toMatchObject({ hostname: "c.example.com", service: "cart" });
    await set("shop", ["b.example.com", "c.example.com"]);
    expect(await routeTable()).toEqual({
      "b.example.com/*": "workers/shop",
      "c.example.com/*": "workers/shop",
      "e.example.com/*": "workers/cart",
    });
    // They are no routes of the zone.
    expect((await call("GET", routes)).result).toMatchObject([{ pattern: "e.example.com/*" }]);
  });

  it("are taken from another Worker only if that is said", async () => {
    await set("shop", ["a.example.com"]);
    const refused = await set("cart", ["a.example.com"], { override_existing_origin: false });
    expect(refused).toMatchObject({ status: 409, errors: [{ code: 10020 }] });
    expect(await routeTable()).toEqual({ "a.example.com/*": "workers/shop" });
  });

  it("are attached, listed and detached one by one, as the SDK does", async () => {
    await set("shop", ["a.example.com"]);
    const { result } = await call("PUT", `${A}/workers/domains`, {
      hostname: "b.example.com",
      service: "shop",
      environment: "production",
      zone_id: zone,
    });
    expect(result).toMatchObject({ hostname: "b.example.com", service: "shop", zone_id: zone });
    const listed = await call("GET", `${A}/workers/domains?service=shop`);
    expect(listed.result.map(({ hostname }: { hostname: string }) => hostname)).toEqual([
      "a.example.com",
      "b.example.com",
    ]);
    expect((await call("GET", `${A}/workers/domains?hostname=b.example.com`)).result).toEqual([
      result,
    ]);
    await call("DELETE", `${A}/workers/domains/${result.id}`);
    expect(await routeTable()).toEqual({ "a.example.com/*": "workers/shop" });
  });

  it("go with their Worker, as its routes do", async () => {
    await call("PUT", worker("brief"), helloForm("brief"));
    await set("brief", ["a.example.com"]);
    await call("PUT", `${worker("brief")}/routes`, [{ pattern: "example.com/brief" }]);
    await call("DELETE", worker("brief"));
    expect(await routeTable()).toEqual({});
  });

  it.each([
    [{ hostname: "*.example.com" }, 930004, "is not a host name"],
    [{ hostname: "a.example.com/x" }, 930004, "is not a host name"],
    [{ hostname: "a.example.com", previews_enabled: true }, 930006, "previews answer under"],
    [{ hostname: "a.example.com", enabled: false }, 930006, "leave the domain out"],
    [{ hostname: "a.far.test" }, 930020, "skep zone add a.far.test"],
    [{ hostname: "a.example.com", zone_name: "far.test" }, 7003, "no such zone"],
  ])("cannot be %j", async (origin, code, why) => {
    const { errors } = await set("shop", [], { origins: [origin] });
    expect(errors).toMatchObject([{ code, message: expect.stringContaining(why) }]);
  });
});
