/**
 * Sets a platform up for load: resources of each kind by the API, the functions that write into them, and the consumer of the
 * queue. `writer` is a user Worker, whose bindings are shims; `objects` has a class of Durable Objects, and so a cell of its
 * own with native bindings; `consumer` is a Worker of the account.
 */
import { uploadForm, type Platform } from "../platform.ts";
import { sources, TABLES } from "./functions.ts";

export const KINDS = ["kv", "d1", "r2", "queue", "object"] as const;
export type Kind = (typeof KINDS)[number];

export interface Stage {
  /** Id of the KV namespace that the consumer writes deliveries into. */
  readonly deliveries: string;
  readonly scripts: readonly { readonly name: string; readonly kinds: readonly Kind[] }[];
}

const SERVICES: readonly Kind[] = ["kv", "d1", "r2", "queue"];
/** More than a message of this load ever needs. */
const MAX_RETRIES = 50;

export async function setStage(platform: Platform): Promise<Stage> {
  const call = async <T>(method: string, path: string, body: object): Promise<T> => {
    const response = await platform.api(method, path, body);
    const { result, errors } = (await response.json()) as { result: T; errors: unknown };
    if (!response.ok) throw new Error(`${method} ${path}: ${JSON.stringify(errors)}`);
    return result;
  };
  const { id: namespaceId } = await call<{ id: string }>("POST", "/storage/kv/namespaces", {
    title: "durability",
  });
  const { id: deliveries } = await call<{ id: string }>("POST", "/storage/kv/namespaces", {
    title: "deliveries",
  });
  const { uuid } = await call<{ uuid: string }>("POST", "/d1/database", { name: "durability" });
  for (const sql of TABLES) await call("POST", `/d1/database/${uuid}/query`, { sql });
  await call("POST", "/r2/buckets", { name: "durability" });
  const { queue_id: queue } = await call<{ queue_id: string }>("POST", "/queues", {
    queue_name: "durability",
  });
  await call("POST", "/queues", { queue_name: "dead" });

  const bindings = [
    { type: "kv_namespace", name: "KV", namespace_id: namespaceId },
    { type: "d1", name: "DB", id: uuid },
    { type: "r2_bucket", name: "BUCKET", bucket_name: "durability" },
    { type: "queue", name: "QUEUE", queue_name: "durability" },
  ];
  const consumer = uploadForm(sources.consumer, {
    bindings: [{ type: "kv_namespace", name: "DELIVERIES", namespace_id: deliveries }],
  });
  const uploaded = await platform.api("PUT", "/workers/scripts/consumer", consumer);
  if (!uploaded.ok) throw new Error(`consumer: ${await uploaded.text()}`);
  await call("POST", `/queues/${queue}/consumers`, {
    type: "worker",
    script_name: "consumer",
    dead_letter_queue: "dead",
    settings: { batch_size: 10, max_retries: MAX_RETRIES, max_wait_time_ms: 100, retry_delay: 0 },
  });
  await platform.deploy("writer", uploadForm(sources.writer, { bindings }));
  await platform.deploy(
    "objects",
    uploadForm(sources.objects, {
      bindings: [
        ...bindings,
        { type: "durable_object_namespace", name: "OBJECTS", class_name: "Kept" },
      ],
      migrations: { new_tag: "v1", new_sqlite_classes: ["Kept"] },
    }),
  );
  return {
    deliveries,
    scripts: [
      { name: "writer", kinds: SERVICES },
      { name: "objects", kinds: [...SERVICES, "object"] },
    ],
  };
}
