/** The paths of queues. All of them are Cloudflare's. */
import type { Hono } from "hono";
import type { Api } from "../context.ts";
import * as consumers from "./consumers.ts";
import * as messages from "./messages.ts";
import * as queues from "./queues.ts";

/** `account`: the path of one. */
export function routeQueues(app: Hono<Api>, account: string): void {
  const queue = `${account}/queues/:queue`;
  app.get(`${account}/queues`, queues.listQueues);
  app.post(`${account}/queues`, queues.createQueue);
  app.get(queue, queues.getQueue);
  app.put(queue, queues.updateQueue);
  app.patch(queue, queues.updateQueue);
  app.delete(queue, queues.deleteQueue);
  app.get(`${queue}/consumers`, consumers.listConsumers);
  app.post(`${queue}/consumers`, consumers.addConsumer);
  app.get(`${queue}/consumers/:consumer`, consumers.getConsumer);
  app.put(`${queue}/consumers/:consumer`, consumers.updateConsumer);
  app.delete(`${queue}/consumers/:consumer`, consumers.removeConsumer);
  app.post(`${queue}/messages`, messages.pushMessage);
  app.post(`${queue}/messages/batch`, messages.pushMessages);
  app.post(`${queue}/messages/pull`, messages.pullMessages);
  app.post(`${queue}/messages/ack`, messages.acknowledge);
  app.post(`${queue}/messages/peek`, messages.peekMessages);
  app.post(`${queue}/messages/purge`, messages.removeMessages);
  app.get(`${queue}/purge`, messages.getPurge);
  app.post(`${queue}/purge`, messages.purgeQueue);
  app.get(`${queue}/metrics`, messages.getQueueMetrics);
}
