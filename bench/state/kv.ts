/** KV: a small value and a large one. */
import { randomUUID } from "node:crypto";
import type { Task } from "./main.ts";

const common = {
  miniflare: { kvNamespaces: { KV: "kv" } },
  async bind(platform) {
    const path = "/storage/kv/namespaces";
    const { id } = (await platform.api("POST", path, { title: randomUUID() })) as { id: string };
    return [{ type: "kv_namespace", name: "KV", namespace_id: id }];
  },
} satisfies Partial<Task>;

export const kvTasks: readonly Task[] = [
  {
    ...common,
    figure: "KV get",
    prepare: `await env.KV.put("key", "some value of a few words");`,
    once: `if ((await env.KV.get("key")) === null) throw new Error("it is gone");`,
    times: 200,
    atMost: 3,
  },
  {
    ...common,
    figure: "KV get of 1 MiB",
    prepare: `await env.KV.put("key", new Uint8Array(1024 * 1024));`,
    once: `await env.KV.get("key", "arrayBuffer");`,
    times: 20,
  },
  {
    ...common,
    figure: "KV put",
    prepare: "",
    once: `await env.KV.put("key" + (n % 10), "some value of a few words");`,
    times: 100,
  },
];
