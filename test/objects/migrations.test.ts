// What becomes of objects on disk when their class is renamed, transferred or deleted, on the real platform.
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startPlatform, uploadForm, type Platform } from "../platform.ts";

let platform: Platform;

beforeAll(async () => {
  platform = await startPlatform({ args: ["--edges", "1"] });
});

afterAll(async () => {
  await platform.stop();
});

const source = (className: string) => `
import { DurableObject } from "cloudflare:workers";
export class ${className} extends DurableObject {
  alarm() {}
  async add() {
    const n = ((await this.ctx.storage.get("n")) ?? 0) + 1;
    await this.ctx.storage.put("n", n);
    await this.ctx.storage.setAlarm(Date.now() + 3_600_000);
    return n;
  }
}
export default {
  async fetch(request, env) { return Response.json(await env.OBJECTS.getByName("one").add()); },
};`;

const NONE = "export default { fetch() { return new Response('none'); } };";

function deploy(script: string, className: string, migrations?: object): Promise<void> {
  const bindings = [{ type: "durable_object_namespace", name: "OBJECTS", class_name: className }];
  return platform.deploy(
    script,
    uploadForm(source(className), { bindings, ...(migrations && { migrations }) }),
  );
}

const count = async (script: string) => (await platform.fetch(script, "/")).text();

const onDisk = async () => {
  const names = await readdir(join(platform.data, "objects"), { recursive: true });
  return names.filter((name) => /[0-9a-f]{64}\.sqlite$/.test(name)).length;
};

test("objects follow their class", async () => {
  await deploy("source", "First", { new_tag: "v1", steps: [{ new_sqlite_classes: ["First"] }] });
  expect(await count("source")).toBe("1");

  const renamed = { from: "First", to: "Second" };
  await deploy("source", "Second", {
    old_tag: "v1",
    new_tag: "v2",
    steps: [{ renamed_classes: [renamed] }],
  });
  expect(await count("source")).toBe("2");

  const transferred = { from: "Second", from_script: "source", to: "Third" };
  await deploy("target", "Third", {
    new_tag: "v1",
    steps: [{ transferred_classes: [transferred] }],
  });
  expect(await count("target")).toBe("3");
  expect(await onDisk()).toBe(1);
  expect(await count("target")).toBe("4");

  // Its binding has followed the class, and would keep it from being deleted.
  await platform.deploy("source", NONE);
  await platform.deploy(
    "target",
    uploadForm(NONE, {
      migrations: { old_tag: "v1", new_tag: "v2", steps: [{ deleted_classes: ["Third"] }] },
    }),
  );
  expect(await count("target")).toBe("none");
  await expect.poll(onDisk).toBe(0);
});
