/** Several versions of one script at once: shares, previews, and the routes and domains that lead to them. */
import { readFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startPlatform, uploadForm, type Platform } from "./platform.ts";

let platform: Platform;

beforeAll(async () => {
  platform = await startPlatform({ args: ["--edges", "2"] });
});

afterAll(async () => {
  await platform.stop();
});

const WORKERS = "/workers/scripts";
const USERS = "/workers/dispatch/namespaces/production/scripts";

async function result<T>(answer: Promise<Response>): Promise<T> {
  const { success, errors, result } = (await (await answer).json()) as {
    success: boolean;
    errors: unknown;
    result: T;
  };
  if (!success) throw new Error(JSON.stringify(errors));
  return result;
}

const answering = (word: string) => `export default { fetch: () => new Response("${word}") }`;

/** The first one is deployed, the others are uploaded only. Returns their ids. */
async function upload(path: string, words: readonly string[], alias?: string): Promise<string[]> {
  const ids: string[] = [];
  for (const word of words) {
    const annotations = alias === undefined ? {} : { "workers/alias": alias };
    const form = uploadForm(answering(word), { annotations });
    const isFirst = ids.length === 0 && alias === undefined;
    const answer = isFirst
      ? platform.api("PUT", path, form)
      : platform.api("POST", `${path}/versions`, form);
    const { id, deployment_id } = await result<{ id: string; deployment_id: string }>(answer);
    ids.push(isFirst ? deployment_id : id);
  }
  return ids;
}

function share(path: string, shares: Readonly<Record<string, number>>): Promise<unknown> {
  const versions = Object.entries(shares).map(([version_id, percentage]) => {
    return { version_id, percentage };
  });
  return result(platform.api("POST", `${path}/deployments`, { strategy: "percentage", versions }));
}

async function answers(host: string, headers: readonly Record<string, string>[]) {
  const words: string[] = [];
  for (const each of headers) {
    words.push(await (await platform.fetchHost(host, "/", { headers: each })).text());
  }
  return words;
}

const count = (words: readonly string[], word: string) => words.filter((w) => w === word).length;
const key = (value: string) => ({ "cloudflare-workers-version-key": value });

describe.each([
  ["an account Worker, in cells", WORKERS, "shop", "shop.workers.localhost"],
  ["a user Worker, in edges", USERS, "stall", "stall.production.localhost"],
])("%s", (_, scripts, name, host) => {
  const path = `${scripts}/${name}`;
  let old: string;
  let fresh: string;

  beforeAll(async () => {
    if (scripts === USERS) {
      const namespace = "/workers/dispatch/namespaces/production";
      await result(platform.api("PUT", namespace, { isolation: "trusted" }));
    }
    [old = "", fresh = ""] = await upload(path, ["old", "fresh"]);
    await share(path, { [old]: 90, [fresh]: 10 });
  });

  test("answers with each version in its share", async () => {
    const words = await answers(
      host,
      Array.from({ length: 400 }, () => ({})),
    );
    expect(count(words, "old") + count(words, "fresh")).toBe(400);
    // Of 40 to be expected; six standard deviations.
    expect(count(words, "fresh")).toBeGreaterThan(4);
    expect(count(words, "fresh")).toBeLessThan(76);
  });

  test("gives clients with a key the same version, whichever edge they meet", async () => {
    const clients = Array.from({ length: 60 }, (_unused, index) => key(`client-${index}`));
    const first = await answers(host, clients);
    expect(new Set(first)).toEqual(new Set(["old", "fresh"]));
    expect(await answers(host, clients)).toEqual(first);
    expect(await answers(host, clients)).toEqual(first);
  });

  test("gives the version of the deployment that is asked for, and no other", async () => {
    const override = (version: string) => ({
      "cloudflare-workers-version-overrides": `${name}="${version}"`,
    });
    const ask = (version: string) =>
      answers(
        host,
        Array.from({ length: 8 }, () => override(version)),
      );
    expect(count(await ask(fresh), "fresh")).toBe(8);
    expect(count(await ask(old), "old")).toBe(8);
    await share(path, { [old]: 100, [fresh]: 0 });
    expect(count(await ask(fresh), "fresh")).toBe(8);
    await share(path, { [old]: 100 });
    expect(count(await ask(fresh), "fresh")).toBe(0);
  });

  test("has previews by id and by an alias that moves", async () => {
    const [label = "", ...rest] = host.split(".");
    const at = async (prefix: string) => {
      const response = await platform.fetchHost(`${prefix}-${label}.${rest.join(".")}`, "/");
      return response.status === 200 ? response.text() : response.status;
    };
    expect(await at("stage")).toBe(404);
    expect(await at(fresh.slice(0, 8))).toBe("fresh");
    await upload(path, ["one"], "stage");
    expect(await at("stage")).toBe("one");
    const [two = ""] = await upload(path, ["two"], "stage");
    expect(await at("stage")).toBe("two");
    expect(await answers(host, [{}])).toEqual(["old"]);
    // A preview is called, and gets traffic, and its code is the same isolate's.
    await share(path, { [two]: 100 });
    expect(await answers(host, [{}])).toEqual(["two"]);
    expect(await at(old.slice(0, 8))).toBe("old");
  });

  test("is measured by the version that answered, previews included", async () => {
    interface Metrics {
      readonly versions: readonly { readonly versionId: string }[];
    }
    const recorded = async () => {
      const { versions } = await result<Metrics>(platform.api("GET", `${path}/metrics`));
      return new Set(versions.map(({ versionId }) => versionId));
    };
    await expect.poll(recorded, { timeout: 10_000 }).toContain(fresh);
    expect(await recorded()).toContain(old);
  });
});

describe("names that lead to an account Worker", () => {
  beforeAll(async () => {
    await upload(`${WORKERS}/door`, ["in"]);
    await platform.skep("zone", "add", "example.com");
    await result(
      platform.api("PUT", `${WORKERS}/door/routes`, [
        { pattern: "www.example.com/in/*", zone_name: "example.com" },
      ]),
    );
    await result(
      platform.api("PUT", "/workers/domains", { hostname: "door.example.com", service: "door" }),
    );
  });

  async function overHttps(host: string, path: string): Promise<[number | undefined, string]> {
    const ca = await readFile(platform.caFile, "utf8");
    const { port } = new URL(platform.wranglerEnv.SKEP_HTTPS_URL);
    const options = { host: "127.0.0.1", port, path, servername: host, headers: { host }, ca };
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      httpsRequest(options, resolve).on("error", reject).end();
    });
    return [response.statusCode, response.statusCode === 200 ? await text(response) : ""];
  }

  test("are its routes and custom domains, over HTTPS with certificates", async () => {
    expect(await overHttps("www.example.com", "/in/side")).toEqual([200, "in"]);
    expect(await overHttps("door.example.com", "/any/path")).toEqual([200, "in"]);
    expect((await overHttps("www.example.com", "/out"))[0]).toBe(404);
  });

  test("are not its own if workers_dev is off; the others stay", async () => {
    const own = async () => (await platform.fetchHost("door.workers.localhost", "/")).status;
    expect(await own()).toBe(200);
    await result(platform.api("POST", `${WORKERS}/door/subdomain`, { enabled: false }));
    expect(await own()).toBe(404);
    expect(await overHttps("door.example.com", "/")).toEqual([200, "in"]);
    expect(await overHttps("www.example.com", "/in/")).toEqual([200, "in"]);
    await result(platform.api("POST", `${WORKERS}/door/subdomain`, { enabled: true }));
    expect(await own()).toBe(200);
  });
});
