/** A consumer of a queue, as the API shows it. */
import { CONSUMER_DEFAULTS, type ConsumerRecord } from "../../registry/queues.ts";
import type { ResourceRecord } from "../../registry/resources.ts";
import { iso } from "../user.ts";

export function consumerJson(consumer: ConsumerRecord, queue: ResourceRecord) {
  const { id, worker, settings, deadLetterQueue, createdOn } = consumer;
  const common = {
    consumer_id: id,
    queue_id: queue.id,
    queue_name: queue.name,
    created_on: iso(createdOn),
    ...(deadLetterQueue !== null && { dead_letter_queue: deadLetterQueue }),
  };
  const counts = {
    batch_size: settings.batchSize ?? CONSUMER_DEFAULTS.batchSize,
    max_retries: settings.maxRetries ?? CONSUMER_DEFAULTS.maxRetries,
    ...(settings.retryDelaySeconds !== undefined && { retry_delay: settings.retryDelaySeconds }),
  };
  if (worker === null) {
    const { visibilityTimeoutMs = CONSUMER_DEFAULTS.visibilityTimeoutMs } = settings;
    const shown = { ...counts, visibility_timeout_ms: visibilityTimeoutMs };
    return { ...common, type: "http_pull", settings: shown };
  }
  const { maxWaitMs = CONSUMER_DEFAULTS.maxWaitMs, maxConcurrency } = settings;
  return {
    ...common,
    type: "worker",
    script: worker.script,
    script_name: worker.script,
    ...(worker.isAccounts ? {} : { dispatch_namespace: worker.namespace }),
    settings: { ...counts, max_wait_time_ms: maxWaitMs, max_concurrency: maxConcurrency ?? null },
  };
}
