/** Calls of the API as tests make them: through the hub's own default export, with the operator's token. */
import { runInDurableObject } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { decodeBundle, type Bundle } from "../../protocol/bundle.ts";
import type { HubEnv } from "../env.ts";
import type { Call } from "./supervisor.ts";

export const hub = env as unknown as HubEnv;
export const ACCOUNT = "account-1";
export const TOKEN = "token-of-the-operator";

interface Gate {
  fetch(url: string, init?: RequestInit): Promise<Response>;
}
const gates = exports as unknown as Record<"default" | "EdgeGate" | "AdminGate", Gate>;
export const edgeGate = gates.EdgeGate;
export const adminGate = gates.AdminGate;

export interface Answer {
  readonly status: number;
  readonly success: boolean;
  readonly errors: readonly { readonly code: number; readonly message: string }[];
  // What a test reads of a result is checked by its own expectations.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly result: any;
  readonly result_info?: Readonly<Record<string, number>>;
}

export async function sha256Hex(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return new Uint8Array(digest).toHex();
}

export async function bootstrap(namespace = "production"): Promise<{ created: boolean }> {
  const response = await adminGate.fetch("http://hub/bootstrap", {
    method: "POST",
    body: JSON.stringify({
      accountId: ACCOUNT,
      accountName: "Test",
      namespace,
      tokenHash: await sha256Hex(TOKEN),
    }),
  });
  return response.json();
}

/** The raw response to a call; `path` is what follows `/client/v4`. */
export function request(method: string, path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  if (!headers.has("authorization")) headers.set("authorization", `Bearer ${TOKEN}`);
  return gates.default.fetch(`http://api/client/v4${path}`, { ...init, method, headers });
}

/** A call with an envelope for an answer. An object is sent as JSON. */
export async function call(
  method: string,
  path: string,
  body?: FormData | string | object | null,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const raw = body === undefined || typeof body === "string" || body instanceof FormData;
  const response = await request(method, path, {
    headers,
    ...(body !== undefined && { body: raw ? body : JSON.stringify(body) }),
  });
  return { ...(await response.json<Omit<Answer, "status">>()), status: response.status };
}

/** Makes a token that may do no more than this. */
export async function limitedToken(
  token: string,
  limits: { namespaces?: string[]; permissions?: string[]; expiresOn?: number },
): Promise<string> {
  const hash = await sha256Hex(token);
  await runInDurableObject(hub.REGISTRY.getByName("registry"), (_instance, { storage }) => {
    storage.sql.exec(
      `INSERT INTO tokens (id, hash, account_id, name, namespaces, permissions, created_on, expires_on)
       VALUES (?, ?, ?, ?, ?, ?, 0, ?)`,
      crypto.randomUUID(),
      hash,
      ACCOUNT,
      token,
      limits.namespaces ? JSON.stringify(limits.namespaces) : null,
      JSON.stringify(limits.permissions ?? ["read", "deploy", "data", "tail", "admin"]),
      limits.expiresOn ?? null,
    );
  });
  return token;
}

/** The path of a script in a namespace. */
export function scriptPath(script: string, namespace = "production"): string {
  return `/accounts/${ACCOUNT}/workers/dispatch/namespaces/${namespace}/scripts/${script}`;
}

export const NAMESPACES = `/accounts/${ACCOUNT}/workers/dispatch/namespaces`;
export const ROUTES = `/accounts/${ACCOUNT}/workers/dispatch/routes`;

export const ES_MODULE = "application/javascript+module";

export type Part = readonly [name: string, content: string | Uint8Array, type: string];

/** An upload as wrangler sends it. */
export function uploadForm(metadata: object, ...parts: readonly Part[]): FormData {
  const form = new FormData();
  form.set("metadata", JSON.stringify(metadata));
  for (const [name, content, type] of parts) form.set(name, new File([content], name, { type }));
  return form;
}

/** The smallest script that answers with `text`. */
export function helloForm(text: string, metadata: object = {}): FormData {
  return uploadForm({ main_module: "index.js", compatibility_date: "2026-01-01", ...metadata }, [
    "index.js",
    `export default { fetch: () => new Response("${text}") };`,
    ES_MODULE,
  ]);
}

export async function deploy(script: string, form: FormData): Promise<Answer> {
  return call("PUT", scriptPath(script), form);
}

/** What the hub told the supervisor since the last time. */
export async function supervisorCalls(): Promise<Call[]> {
  return (await hub.SUPERVISOR.fetch("http://supervisor/calls")).json();
}

export async function failSupervisor(path: string, times: number): Promise<void> {
  await hub.SUPERVISOR.fetch(`http://supervisor/fail?path=${path}&times=${times}`);
}

export const MAIN = { main_module: "index.js", compatibility_date: "2026-01-01" };
export const hello: Part = [
  "index.js",
  `export default { fetch: () => new Response("hi") };`,
  ES_MODULE,
];

/** What an edge would load now. */
export async function activeBundle(script: string): Promise<Bundle> {
  const state = await edgeGate.fetch(`http://hub/resolve?namespace=production&script=${script}`);
  const { versionId } = await state.json<{ versionId: string }>();
  const response = await edgeGate.fetch(`http://hub/bundles/${versionId}`);
  return decodeBundle(new Uint8Array(await response.arrayBuffer()));
}
