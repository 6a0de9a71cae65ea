/**
 * 100,000 messages through a queue, of which the handler fails 1% each time it gets them: how long until all were
 * acknowledged or are in the dead letter queue, against Miniflare's own queues, which are in memory. The same Worker sends
 * and takes them in both.
 */
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { setTimeout as sleep } from "node:timers/promises";
import { Connection, getRequest } from "./connection.ts";
import { hostOf, startPlatform, type Platform } from "./platform.ts";
import { repetitions, type Section } from "./section.ts";

const SCRIPT = "bee";
const SENT_AT_ONCE = 2_000;
/** Every so many fails. */
const FAILING = 100;
const CONSUMER = { batch_size: 100, max_wait_time_ms: 1_000, max_retries: 2 };
const POLL_MS = 100;

const SOURCE = `
  let done = 0;
  export default {
    async fetch(request, env) {
      const url = new URL(request.url);
      if (url.pathname === "/done") return Response.json(done);
      const count = Number(url.searchParams.get("count")), from = Number(url.searchParams.get("from"));
      for (let at = 0; at < count; at += 100) {
        const size = Math.min(100, count - at);
        await env.JOBS.sendBatch(Array.from({ length: size }, (_, index) => ({ body: { n: from + at + index, text: "a message of about one hundred bytes, as events of an application are: user 4711 did x" } })));
      }
      return new Response("sent");
    },
    queue({ messages, queue }) {
      if (queue !== "jobs") return;
      for (const message of messages) {
        if (message.body.n % ${FAILING} === 0) message.retry();
        else done++;
      }
    },
  };`;

export const queues: Section = async (bench) => {
  const count = repetitions(bench, 100_000, 1_000);
  const failing = Math.ceil(count / FAILING);
  bench.progress(`${count} messages through Miniflare`);
  const miniflareMs = await throughMiniflare(count, count - failing);
  await using platform = await startPlatform(["--isolation", "trusted"]);
  bench.progress(`${count} messages through Skep`);
  const { sentMs, totalMs, dead } = await throughSkep(platform, count);
  if (dead !== failing) throw new Error(`${dead} dead letters, expected ${failing}`);
  const perSecond = (ms: number) => (count / ms) * 1_000;
  const section = "queues";
  return [
    {
      section,
      figure: `${count} messages sent, taken, 1% dead: time`,
      ours: totalMs,
      baseline: miniflareMs,
      against: "Miniflare, in memory",
      unit: "ms",
    },
    {
      section,
      figure: "the same, messages per second",
      ours: perSecond(totalMs),
      baseline: perSecond(miniflareMs),
      against: "Miniflare, in memory",
      unit: "",
    },
    {
      section,
      figure: "sent and stored, messages per second",
      ours: perSecond(sentMs),
      unit: "",
    },
  ];
};

async function throughMiniflare(count: number, wanted: number): Promise<number> {
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      modules: true,
      script: SOURCE,
      compatibilityDate: "2026-11-01",
      queueProducers: { JOBS: { queueName: "jobs" } },
      queueConsumers: {
        jobs: {
          maxBatchSize: CONSUMER.batch_size,
          maxBatchTimeout: CONSUMER.max_wait_time_ms / 1_000,
          maxRetries: CONSUMER.max_retries,
          deadLetterQueue: "graves",
        },
      },
    }),
  );
  try {
    await miniflare.ready;
    const startMs = performance.now();
    for (let from = 0; from < count; from += SENT_AT_ONCE) {
      const path = `http://bee/?from=${from}&count=${Math.min(SENT_AT_ONCE, count - from)}`;
      await (await miniflare.dispatchFetch(path)).text();
    }
    for (;;) {
      const done = await (await miniflare.dispatchFetch("http://bee/done")).json();
      if ((done as number) >= wanted) return performance.now() - startMs;
      await sleep(POLL_MS);
    }
  } finally {
    await miniflare.dispose();
  }
}

async function throughSkep(platform: Platform, count: number) {
  const jobs = await makeQueue(platform, "jobs");
  const graves = await makeQueue(platform, "graves");
  const form = new FormData();
  const bindings = [{ type: "queue", name: "JOBS", queue_name: "jobs" }];
  const metadata = { main_module: "index.js", compatibility_date: "2026-11-01", bindings };
  form.set("metadata", JSON.stringify(metadata));
  const type = "application/javascript+module";
  form.set("index.js", new File([SOURCE], "index.js", { type }));
  await platform.api("PUT", `/workers/dispatch/namespaces/production/scripts/${SCRIPT}`, form);
  await platform.api("POST", `/queues/${jobs}/consumers`, {
    type: "worker",
    script_name: SCRIPT,
    dispatch_namespace: "production",
    dead_letter_queue: "graves",
    settings: CONSUMER,
  });
  const connection = await Connection.open(platform);
  const startMs = performance.now();
  for (let from = 0; from < count; from += SENT_AT_ONCE) {
    const path = `/?from=${from}&count=${Math.min(SENT_AT_ONCE, count - from)}`;
    const { status } = await connection.send(getRequest(hostOf(SCRIPT), path));
    if (status !== 200) throw new Error(`sending was answered with ${status}`);
  }
  const sentMs = performance.now() - startMs;
  while ((await backlogOf(platform, jobs)) > 0) await sleep(POLL_MS);
  const totalMs = performance.now() - startMs;
  connection.close();
  return { sentMs, totalMs, dead: await backlogOf(platform, graves) };
}

async function makeQueue(platform: Platform, queue_name: string): Promise<string> {
  const made = (await platform.api("POST", "/queues", { queue_name })) as { queue_id: string };
  return made.queue_id;
}

async function backlogOf(platform: Platform, id: string): Promise<number> {
  const metrics = (await platform.api("GET", `/queues/${id}/metrics`)) as { backlog_count: number };
  return metrics.backlog_count;
}
