/** Trace events for people, as `skep tail` and `skep logs` print them. */
import type { TraceEvent } from "../protocol/trace.ts";
import { withoutControls } from "./table.ts";

/** One line for the invocation, then what it wrote and threw. */
export function traceLines(event: TraceEvent): string[] {
  const time = new Date(event.eventTimestamp).toISOString();
  const { scriptName, outcome, wallTime, logs, exceptions } = event;
  const notice = noticeOf(event);
  if (notice !== undefined) return [`${time} ${notice}`];
  const version = event.scriptVersion.id.slice(0, 8);
  return [
    `${time} ${scriptName} ${version} ${handlerOf(event)} ${outcome} ${wallTime} ms`,
    ...logs.flatMap(({ level, message }) => indented(`${level}: ${textOf(message)}`)),
    ...exceptions.flatMap(({ name, message, stack }) =>
      indented(`${name}: ${message}${stack === undefined ? "" : `\n${stack}`}`),
    ),
    ...(event.truncated ? indented("(there was more)") : []),
  ];
}

/** Of the platform: that events were dropped. */
function noticeOf({ event }: TraceEvent): string | undefined {
  if (event === null || !("type" in event) || !("message" in event)) return undefined;
  return String(event.message);
}

function handlerOf({ event }: TraceEvent): string {
  if (event === null) return "-";
  if ("request" in event) {
    const { request, response } = event as {
      request: { method: string; url: string };
      response?: { status: number };
    };
    const { pathname, search } = new URL(request.url);
    return `${request.method} ${pathname}${search} ${response?.status ?? "-"}`;
  }
  if ("consumedEvents" in event) return "tail";
  if ("rpcMethod" in event) return `rpc ${String(event.rpcMethod)}`;
  if ("cron" in event) return `cron ${String(event.cron)}`;
  if ("queue" in event) return `queue ${String(event.queue)}`;
  return "-";
}

function textOf(message: unknown): string {
  const words = Array.isArray(message) ? (message as unknown[]) : [message];
  return words
    .map((word) => (typeof word === "string" ? word : (JSON.stringify(word) ?? String(word))))
    .join(" ");
}

function indented(text: string): string[] {
  return text.split("\n").map((line) => `  ${withoutControls(line)}`);
}
