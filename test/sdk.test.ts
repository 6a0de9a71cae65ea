/** The official `cloudflare` SDK against the real platform: every method for dispatch namespaces. */
import { readFile } from "node:fs/promises";
import { toFile } from "cloudflare";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startPlatform, type Platform } from "./platform.ts";
import { all, sdkFor, type Sdk } from "./sdk-client.ts";

const packageFile = new URL("../node_modules/cloudflare/package.json", import.meta.url);
const { version } = JSON.parse(await readFile(packageFile, "utf8")) as { version: string };

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

function module(name: string, source: string): Promise<File> {
  return toFile(Buffer.from(source), name, { type: "application/javascript+module" });
}

describe(`cloudflare ${version}`, () => {
  test("namespaces: create, get, list, delete", async () => {
    const { namespaces } = client.workersForPlatforms.dispatch;
    const created = await namespaces.create({ ...account, name: "by-sdk" });
    expect(created).toMatchObject({ namespace_name: "by-sdk", script_count: 0 });
    expect(await namespaces.get("by-sdk", account)).toEqual(created);
    expect(await all(namespaces.list(account))).toContainEqual(created);
    expect(await namespaces.delete("by-sdk", account)).toBeNull();
    await expect(namespaces.get("by-sdk", account)).rejects.toMatchObject({
      status: 404,
      errors: [{ code: 100119 }],
    });
  });

  describe("a script", () => {
    const name = "by-sdk";
    const scripts = () => client.workersForPlatforms.dispatch.namespaces.scripts;
    const inProduction = () => ({ ...account, dispatch_namespace: "production" });
    const at = () => ({ ...inProduction(), script_name: name });
    const answer = async () => (await platform.fetch(name, "/")).json();

    test("is deployed with metadata as an object, and answers", async () => {
      const deployed = await scripts().update(name, {
        ...inProduction(),
        metadata: {
          main_module: "main.mjs",
          compatibility_date: "2026-01-01",
          compatibility_flags: ["nodejs_compat", "global_fetch_strictly_public"],
          bindings: [
            { type: "plain_text", name: "DIGITS", text: "42" },
            { type: "plain_text", name: "WORDS", text: "a, b" },
            { type: "secret_text", name: "KEY", text: "k" },
          ],
          tags: ["one", "two"],
          observability: { enabled: true, head_sampling_rate: 0.5 },
        },
        files: [
          await module("side.mjs", `export const greeting = "hello";`),
          await module(
            "main.mjs",
            `import { greeting } from "./side.mjs";
             export default { fetch: (request, env) => Response.json({ greeting, env }) };`,
          ),
        ],
      });
      expect(deployed).toMatchObject({
        id: name,
        compatibility_flags: ["nodejs_compat", "global_fetch_strictly_public"],
        tags: ["one", "two"],
        observability: { enabled: true, head_sampling_rate: 0.5 },
      });
      expect(await answer()).toEqual({
        greeting: "hello",
        env: { DIGITS: "42", WORDS: "a, b", KEY: "k" },
      });
    });

    test("is deployed with metadata as JSON text, which keeps types exact", async () => {
      const metadata = {
        main_module: "main.mjs",
        compatibility_date: "2026-01-01",
        bindings: [{ type: "json", name: "DATA", json: { digits: "42", number: 42, empty: [] } }],
      };
      await scripts().update(name, {
        ...inProduction(),
        // The SDK's types do not know that it sends a string as it is.
        metadata: JSON.stringify(metadata) as never,
        files: [
          await module(
            "main.mjs",
            `export default { fetch: (request, env) => Response.json(env) };`,
          ),
        ],
      });
      expect(await answer()).toEqual({ DATA: { digits: "42", number: 42, empty: [] }, KEY: "k" });
    });

    test("is read", async () => {
      expect(await scripts().get(name, inProduction())).toMatchObject({
        dispatch_namespace: "production",
        script: { id: name, tags: ["one", "two"] },
      });
      expect(await all(scripts().bindings.get(name, inProduction()))).toEqual([
        { type: "json", name: "DATA", json: { digits: "42", number: 42, empty: [] } },
        { type: "secret_text", name: "KEY" },
      ]);
    });

    test("content: update, get", async () => {
      const source = `export default { fetch: (request, env) => Response.json(Object.keys(env)) };`;
      await scripts().content.update(name, {
        ...inProduction(),
        metadata: { main_module: "next.mjs" },
        files: [await module("next.mjs", source)],
      });
      expect(await answer()).toEqual(["DATA", "KEY"]);
      const content = await scripts().content.get(name, inProduction());
      expect(await content.text()).toBe(source);
    });

    test("settings: edit, get", async () => {
      const edited = await scripts().settings.edit(name, {
        ...inProduction(),
        settings: {
          bindings: [{ type: "plain_text", name: "NEW", text: "n" }],
          tags: ["three"],
        },
      });
      expect(edited.tags).toEqual(["three"]);
      expect(await scripts().settings.get(name, inProduction())).toEqual(edited);
      expect(await answer()).toEqual(["NEW", "KEY"]);
    });

    test("secrets: update, list, get, bulk update, delete", async () => {
      const { secrets } = scripts();
      const secret = (name: string) => ({ name, text: "x", type: "secret_text" }) as const;
      await secrets.update(name, { ...inProduction(), ...secret("A") });
      await secrets.bulkUpdate(name, { ...inProduction(), secrets: { A: null, B: secret("B") } });
      expect(await all(secrets.list(name, inProduction()))).toEqual([
        { name: "KEY", type: "secret_text" },
        { name: "B", type: "secret_text" },
      ]);
      expect(await secrets.get("B", at())).toEqual({ name: "B", type: "secret_text" });
      await secrets.delete("B", at());
      expect(await answer()).toEqual(["NEW", "KEY"]);
    });

    test("tags: update, list, delete", async () => {
      const { tags } = scripts();
      expect(await all(tags.update(name, { ...inProduction(), body: ["x", "y"] }))).toEqual([
        "x",
        "y",
      ]);
      await tags.delete("x", at());
      expect(await all(tags.list(name, inProduction()))).toEqual(["y"]);
    });

    test("is deleted, and answers no more", async () => {
      expect(await scripts().delete(name, { ...inProduction(), force: true })).toBeNull();
      expect((await platform.fetch(name, "/")).status).toBe(404);
    });
  });
});
