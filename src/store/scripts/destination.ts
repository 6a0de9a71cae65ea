/** Tells a destination how an invocation ended. */
import type { CalloutResult } from "../../protocol/events.ts";
import type { Destination } from "../../protocol/invocations.ts";
import { deliverEvent, sendToEdge } from "../deliver-event.ts";
import type { StoreEnv } from "../env.ts";
import { callKind } from "./own-gate.ts";

export interface Telling {
  /** Whose invocation it was. */
  readonly namespace: string;
  readonly script: string;
  readonly to: Destination;
  /** JSON. */
  readonly text: string;
}

/** null: it was told; else why not. Never rejects. */
export async function tell(env: StoreEnv, telling: Telling): Promise<string | null> {
  try {
    switch (telling.to.type) {
      case "queue":
        return await tellQueue(telling.to.id, telling.text);
      case "function":
        return await tellFunction(env, telling, telling.to.script);
      case "url":
        return await tellUrl(env, telling, telling.to.url);
    }
  } catch (error) {
    return (error as Error).message;
  }
}

async function tellQueue(id: string, text: string): Promise<string | null> {
  const headers = { "X-Msg-Fmt": "json" };
  const response = await callKind("queue", id, "/message", {
    method: "POST",
    headers,
    body: text,
  });
  const answer = await response.text();
  return response.ok ? null : `the queue answered with ${response.status}: ${answer.slice(0, 200)}`;
}

async function tellFunction(
  env: StoreEnv,
  { namespace, text }: Telling,
  script: string,
): Promise<string | null> {
  const request = {
    id: crypto.randomUUID(),
    method: "POST",
    url: "http://invocation/",
    headers: [["content-type", "application/json"]] as const,
    body: new TextEncoder().encode(text).toBase64(),
  };
  const event = { type: "invocation", request } as const;
  const result = await deliverEvent(env, { namespace, script, event, attempt: 1 });
  if (!result.ran) return result.message;
  const { outcome, error = outcome, response } = result;
  if (outcome !== "ok") return `function "${script}" failed: ${error}`;
  const status = response?.status ?? 0;
  return status < 500 ? null : `function "${script}" answered with ${status}`;
}

/** Through an edge, since the store reaches nothing else. */
async function tellUrl(
  env: StoreEnv,
  { namespace, script, text }: Telling,
  url: string,
): Promise<string | null> {
  const result = await sendToEdge<CalloutResult>(env, "/callout", { namespace, script, url, text });
  if ("failed" in result) return result.failed;
  return result.status < 300 ? null : `${new URL(url).host} answered with ${result.status}`;
}
