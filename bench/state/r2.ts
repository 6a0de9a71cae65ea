/** R2: objects of 1 KiB. */
import { randomUUID } from "node:crypto";
import type { Task } from "./main.ts";

const common = {
  miniflare: { r2Buckets: { BUCKET: "bucket" } },
  async bind(platform) {
    const name = `bench-${randomUUID()}`;
    await platform.api("POST", "/r2/buckets", { name });
    return [{ type: "r2_bucket", name: "BUCKET", bucket_name: name }];
  },
} satisfies Partial<Task>;

export const r2Tasks: readonly Task[] = [
  {
    ...common,
    figure: "R2 get of 1 KiB",
    prepare: `await env.BUCKET.put("key", new Uint8Array(1024));`,
    once: `await (await env.BUCKET.get("key")).arrayBuffer();`,
    times: 100,
    atMost: 3,
  },
  {
    ...common,
    figure: "R2 put of 1 KiB",
    prepare: "",
    once: `await env.BUCKET.put("key" + (n % 10), new Uint8Array(1024));`,
    times: 50,
    atMost: 3,
  },
];
