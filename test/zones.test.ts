/** Zones as they are used: `skep zone`, routes and custom domains in wrangler's configuration, the SDK. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startPlatform, type Platform } from "./platform.ts";
import { sdkFor, type Sdk } from "./sdk-client.ts";
import { createProject, wrangler } from "./wrangler.ts";

let platform: Platform;
let client: Sdk["client"];
let account: Sdk["account"];

beforeAll(async () => {
  platform = await startPlatform();
  ({ client, account } = sdkFor(platform));
});

afterAll(async () => {
  await platform.stop();
});

async function at(host: string, path = "/"): Promise<string | number> {
  const response = await platform.fetchHost(host, path);
  return response.status === 200 ? response.text() : response.status;
}

/** Deploys an account Worker that answers with its name. */
async function deploy(name: string, toml: string) {
  const directory = await createProject({
    "wrangler.toml": `name = "${name}"\nmain = "index.js"\ncompatibility_date = "2026-11-01"\n${toml}`,
    "index.js": `export default { fetch: () => new Response("${name}") };`,
  });
  return wrangler(directory, platform.wranglerEnv, "deploy");
}

test("skep zone adds, lists and removes domains", async () => {
  const { stdout: added } = await platform.skep("zone", "add", "brief.test");
  expect(added).toMatch(/^[0-9a-f]{32} {2}brief\.test\n$/);
  expect((await platform.skep("zone", "list")).stdout).toContain(added);
  expect((await platform.skep("zone", "remove", "brief.test")).stdout).toBe("");
  expect((await platform.skep("zone", "list")).stdout).not.toContain(added);
  await expect(platform.skep("zone", "remove", "brief.test")).rejects.toThrow(
    "there is no zone brief.test",
  );
});

describe("wrangler deploy", { timeout: 120_000 }, () => {
  test("says which zone is missing", async () => {
    const { exitCode, output } = await deploy("early", `routes = ["early.test/*"]`);
    expect(exitCode, output).not.toBe(0);
    expect(output).toContain("early.test");
    await platform.skep("zone", "add", "early.test");
    expect((await deploy("early", `routes = ["early.test/*"]`)).exitCode).toBe(0);
    expect(await at("early.test")).toBe("early");
    // Without `workers_dev`, a Worker with routes has no name of its own.
    expect(await at("early.workers.localhost")).toBe(404);
  });

  test("sets routes and custom domains, and takes back those that are gone", async () => {
    await platform.skep("zone", "add", "shop.test");
    const first = await deploy(
      "shop",
      `workers_dev = true
       routes = [
         { pattern = "www.shop.test/a/*", zone_name = "shop.test" },
         { pattern = "*.shop.test/b/*", zone_name = "shop.test" },
         { pattern = "api.shop.test", custom_domain = true },
       ]`,
    );
    expect(first.exitCode, first.output).toBe(0);
    expect(first.output).toContain("api.shop.test (custom domain)");
    expect(await at("www.shop.test", "/a/1")).toBe("shop");
    expect(await at("eu.shop.test", "/b/1")).toBe("shop");
    expect(await at("api.shop.test", "/any")).toBe("shop");
    expect(await at("shop.workers.localhost")).toBe("shop");
    const second = await deploy(
      "shop",
      `workers_dev = true
       routes = [
         { pattern = "*.shop.test/b/*", zone_name = "shop.test" },
         { pattern = "api2.shop.test", custom_domain = true },
       ]`,
    );
    expect(second.exitCode, second.output).toBe(0);
    expect(await at("www.shop.test", "/a/1")).toBe(404);
    expect(await at("api.shop.test", "/any")).toBe(404);
    expect(await at("api2.shop.test", "/any")).toBe("shop");
  });

  test("is refused a route of another Worker", async () => {
    await platform.skep("zone", "add", "taken.test");
    await deploy("owner", `workers_dev = true\nroutes = ["taken.test/*"]`);
    const { exitCode, output } = await deploy(
      "thief",
      `workers_dev = true\nroutes = ["taken.test/*"]`,
    );
    expect(exitCode).not.toBe(0);
    expect(output).toContain("owner");
    expect(output).toContain("10020");
    expect(await at("taken.test")).toBe("owner");
  });
});

test("the SDK has routes and domains", async () => {
  const { stdout } = await platform.skep("zone", "add", "sdk.test");
  const zone_id = stdout.split(" ")[0] ?? "";
  expect((await deploy("sdk", "workers_dev = true")).exitCode).toBe(0);
  const { routes, domains } = client.workers;
  const created = await routes.create({ zone_id, pattern: "sdk.test/x/*", script: "sdk" });
  expect(await at("sdk.test", "/x/1")).toBe("sdk");
  const listed = [];
  for await (const route of routes.list({ zone_id })) listed.push(route.pattern);
  expect(listed).toEqual(["sdk.test/x/*"]);
  await routes.update(created.id, { zone_id, pattern: "sdk.test/y/*", script: "sdk" });
  expect((await routes.get(created.id, { zone_id })).pattern).toBe("sdk.test/y/*");
  await routes.delete(created.id, { zone_id });
  expect(await at("sdk.test", "/y/1")).toBe(404);

  const domain = await domains.update({ ...account, hostname: "api.sdk.test", service: "sdk" });
  expect(domain).toMatchObject({ hostname: "api.sdk.test", service: "sdk", zone_name: "sdk.test" });
  expect(await at("api.sdk.test")).toBe("sdk");
  const hosts = [];
  for await (const each of domains.list(account)) hosts.push(each.hostname);
  expect(hosts).toContain("api.sdk.test");
  expect(await domains.get(domain.id, account)).toMatchObject({ id: domain.id });
  await domains.delete(domain.id, account);
  expect(await at("api.sdk.test")).toBe(404);
  const zones = [];
  for await (const zone of client.zones.list({ name: "sdk.test" })) zones.push(zone.id);
  expect(zones).toEqual([zone_id]);
}, 120_000);
