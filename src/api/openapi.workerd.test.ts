/** The OpenAPI document against the routes of app.ts and against real answers. */
import type * as z from "zod";
import { beforeAll, describe, expect, it } from "vitest";
import {
  ACCOUNT,
  bootstrap,
  call,
  deploy,
  helloForm,
  NAMESPACES,
  ROUTES,
  scriptPath,
} from "../hub/test/api.ts";
import { app } from "./app.ts";
import { PRODUCTS } from "./not-supported.ts";
import { OPERATIONS } from "./openapi/operations.ts";

interface Document {
  readonly openapi: string;
  readonly paths: Record<
    string,
    Record<string, { operationId: string; parameters: { name: string }[] }>
  >;
}

beforeAll(async () => {
  await bootstrap();
});

/** Products that are refused as a whole, with all that is below their paths. */
const REFUSED = PRODUCTS.map(({ path }) => `/client/v4/accounts/:account/${path}`);

function servedRoutes(): string[] {
  // Middleware is registered for ALL methods.
  const routes = app.routes.filter(({ method }) => method !== "ALL");
  return routes
    .filter(({ path }) => !REFUSED.some((root) => path === root || path === `${root}/*`))
    .map(({ method, path }) => `${method} ${path}`);
}

describe("the OpenAPI document", () => {
  it("has an entry in openapi/operations.ts for every route of app.ts", () => {
    const missing = servedRoutes().filter((route) => !(route in OPERATIONS));
    expect(missing).toEqual([]);
  });

  it("has no entry without a route", () => {
    const routes = new Set(servedRoutes());
    expect(Object.keys(OPERATIONS).filter((key) => !routes.has(key))).toEqual([]);
  });

  it("is served as OpenAPI 3.1, names each operation once and each parameter of a path", async () => {
    const document = (await call("GET", "/openapi.json")) as unknown as Document;
    expect(document.openapi).toBe("3.1.0");
    const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.values(methods).map((operation) => ({ path, ...operation })),
    );
    expect(operations).toHaveLength(Object.keys(OPERATIONS).length);
    const ids = operations.map(({ operationId }) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { path, parameters } of operations) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      expect(parameters.map(({ name }) => name)).toEqual(expect.arrayContaining(inPath));
    }
  });
});

describe("a real answer is as the document says", () => {
  beforeAll(async () => {
    await deploy("described", helloForm("hi", { tags: ["a"], observability: { enabled: true } }));
    await call("PUT", `/accounts/${ACCOUNT}/workers/scripts/described`, helloForm("hi"));
    await call("PUT", `${scriptPath("described")}/secrets`, {
      name: "KEY",
      type: "secret_text",
      text: "x",
    });
    await call("POST", "/zones", { name: "zone.example" });
    const worker = `/accounts/${ACCOUNT}/workers/scripts/described`;
    await call("PUT", `${worker}/routes`, [{ pattern: "a.zone.example/*" }]);
    const origins = [{ hostname: "b.zone.example" }];
    await call("PUT", `${worker}/domains/records`, { override_scope: true, origins });
    await call("POST", ROUTES, {
      pattern: "described.example/*",
      namespace: "production",
      script: "described",
    });
  });

  const account = `/accounts/${ACCOUNT}`;
  const calls: Record<string, string> = {
    "/user/tokens/verify": "/user/tokens/verify",
    "/user": "/user",
    "/accounts": "/accounts",
    "/memberships": "/memberships",
    "/accounts/:account": account,
    "/accounts/:account/workers/dispatch/namespaces": NAMESPACES,
    "/accounts/:account/workers/dispatch/namespaces/:namespace": `${NAMESPACES}/production`,
    "/accounts/:account/workers/dispatch/routes": ROUTES,
    "/accounts/:account/workers/scripts": `${account}/workers/scripts`,
    "/zones": "/zones",
    "/accounts/:account/workers/domains": `${account}/workers/domains`,
    "/accounts/:account/workers/scripts/:script/routes": `${account}/workers/scripts/described/routes`,
    "/accounts/:account/workers/scripts-search": `${account}/workers/scripts-search`,
    "/accounts/:account/workers/workers": `${account}/workers/workers`,
    "/accounts/:account/workers/subdomain": `${account}/workers/subdomain`,
    ...Object.fromEntries(
      ["settings", "deployments", "versions", "script-settings", "subdomain", "schedules"].map(
        (rest) => [
          `/accounts/:account/workers/scripts/:script/${rest}`,
          `${account}/workers/scripts/described/${rest}`,
        ],
      ),
    ),
    ...Object.fromEntries(
      [
        "",
        "/versions",
        "/deployments",
        "/script-settings",
        "/settings",
        "/bindings",
        "/secrets",
        "/tags",
        "/limits",
        "/placement",
      ].map((rest) => [
        `/accounts/:account/workers/dispatch/namespaces/:namespace/scripts/:script${rest}`,
        `${scriptPath("described")}${rest}`,
      ]),
    ),
    "/accounts/:account/workers/dispatch/namespaces/:namespace/scripts": scriptPath("").slice(
      0,
      -1,
    ),
    "/accounts/:account/workers/dispatch/namespaces/:namespace/limits": `${NAMESPACES}/production/limits`,
    "/accounts/:account/workers/dispatch/namespaces/:namespace/events": `${NAMESPACES}/production/events`,
  };

  it.for(Object.entries(calls))("GET %s", async ([route, path]) => {
    const operation = OPERATIONS[`GET /client/v4${route}`];
    const { success, result } = await call("GET", path);
    expect(success).toBe(true);
    const schema = operation?.result as z.ZodType;
    for (const one of operation?.list ? (result as unknown[]) : [result]) schema.parse(one);
  });
});

describe("a product that Skep does not have", () => {
  it.for([
    [`/accounts/${ACCOUNT}/r2/temporary`, "R2 buckets"],
    [`/accounts/${ACCOUNT}/ai/run/model`, "Workers AI"],
    [`/accounts/${ACCOUNT}/stream`, "Cloudflare Stream"],
    ["/zones/z/email/routing", "Email Routing"],
  ] as const)("is named in the answer to %s", async ([path, product]) => {
    const { status, success, errors } = await call("PROPFIND", path);
    expect({ status, success }).toEqual({ status: 400, success: false });
    expect(errors).toEqual([
      { code: 930006, message: expect.stringMatching(`^Skep has no ${product}: `) },
    ]);
  });

  it("is not made up for other paths", async () => {
    const { status, errors } = await call("GET", `/accounts/${ACCOUNT}/r3/buckets`);
    expect({ status, code: errors[0]?.code }).toEqual({ status: 404, code: 7003 });
  });
});
