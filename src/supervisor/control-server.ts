/**
 * The supervisor's side of protocol/hub.ts: what the hub may ask of it, over a unix socket that only this
 * user's processes reach.
 */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { CpuClock, ProcessCounters, TrialLoss } from "../protocol/hub.ts";
import type { CellAssignment, CellRequest } from "../protocol/incident.ts";
import { OVER_QUOTA } from "../protocol/dispatch-errors.ts";
import type { ObjectChanges, ObjectList } from "../protocol/objects.ts";
import type { WorkflowAnswer, WorkflowRequest } from "../protocol/workflows.ts";
import { createServer } from "./node-http.ts";
import { OverQuotaError } from "./stateful/rooms.ts";

export interface SupervisorCalls {
  /** Resolves when every edge has taken the update or is gone. */
  routing(update: Buffer): Promise<void>;
  /** Resolves when the edges present a certificate for the names that the hub knows now. */
  certificate(): Promise<void>;
  /** Resolves when a fresh trial cell is ready. */
  replaceTrial(): Promise<TrialLoss>;
  /** undefined: there is no such edge now, or the system does not tell. */
  cpuClock(edge: number): CpuClock | undefined;
  /** Rejects if there is no cell for it now. */
  assignCell(request: CellRequest): Promise<CellAssignment>;
  counters(): ProcessCounters;
  /** Rejects if the processes that write to the data directory cannot all be held still now. */
  pauseWriters(): Promise<void>;
  /** Returns whether all were still all the time. */
  resumeWriters(): boolean;
  /** Resolves when all is done. */
  changeObjects(changes: ObjectChanges): Promise<void>;
  deleteObject(scriptId: string, key: string, id: string): Promise<void>;
  listObjects(scriptId: string, key: string, after: string, limit: number): ObjectList;
  workflows(request: WorkflowRequest): Promise<WorkflowAnswer>;
}

/** Routing tables are the largest bodies; this is some 100,000 routes. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;

export async function serveControl(
  socket: string,
  calls: SupervisorCalls,
  log: (line: string) => void,
): Promise<Server> {
  const server = createServer((request, response) => {
    answer(calls, request, response).catch((error: unknown) => {
      log(`${request.method} ${request.url}: ${String(error)}`);
      if (!response.headersSent) response.writeHead(500);
      response.end(String(error));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(socket, resolve);
  });
  return server;
}

async function answer(
  calls: SupervisorCalls,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://supervisor");
  const body = await readBody(request);
  switch (`${request.method} ${pathname}`) {
    case "POST /routing":
      await calls.routing(body);
      response.writeHead(204).end();
      return;
    case "POST /certificate":
      await calls.certificate();
      response.writeHead(204).end();
      return;
    case "POST /trial/replace":
      sendJson(response, await calls.replaceTrial());
      return;
    case "POST /cells/assign":
      try {
        sendJson(response, await calls.assignCell(JSON.parse(body.toString()) as CellRequest));
      } catch (error) {
        const status = error instanceof OverQuotaError ? OVER_QUOTA : 503;
        response.writeHead(status).end(error instanceof Error ? error.message : String(error));
      }
      return;
    case "POST /pause":
      try {
        await calls.pauseWriters();
        response.writeHead(204).end();
      } catch (error) {
        response.writeHead(503).end(error instanceof Error ? error.message : String(error));
      }
      return;
    case "POST /resume":
      sendJson(response, { isUnbroken: calls.resumeWriters() });
      return;
    case "POST /objects/changes":
      await calls.changeObjects(JSON.parse(body.toString()) as ObjectChanges);
      response.writeHead(204).end();
      return;
    case "DELETE /objects": {
      const of = (name: string) => searchParams.get(name) ?? "";
      await calls.deleteObject(of("script"), of("key"), of("id"));
      response.writeHead(204).end();
      return;
    }
    case "GET /objects": {
      const of = (name: string) => searchParams.get(name) ?? "";
      const limit = Number(of("limit"));
      sendJson(response, calls.listObjects(of("script"), of("key"), of("after"), limit));
      return;
    }
    case "POST /workflows":
      try {
        sendJson(response, await calls.workflows(JSON.parse(body.toString()) as WorkflowRequest));
      } catch (error) {
        response.writeHead(503).end(error instanceof Error ? error.message : String(error));
      }
      return;
    case "GET /processes":
      sendJson(response, calls.counters());
      return;
    case "GET /cpu": {
      const clock = calls.cpuClock(Number(searchParams.get("edge")));
      if (clock === undefined) response.writeHead(404).end("no CPU clock for this edge");
      else sendJson(response, clock);
      return;
    }
    default:
      response.writeHead(404).end(`no such call: ${request.method} ${pathname}`);
  }
}

function sendJson(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BODY_BYTES) throw new Error(`the body is longer than ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
