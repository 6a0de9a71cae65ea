/**
 * The inside of a stateful cell: what its configuration (src/supervisor/stateful/) and the trusted code in it
 * (src/cell/stateful.ts) call each other's parts.
 *
 * The script's start module re-exports what its main module exports and adds the entrypoint START, by which the gate
 * reaches exports that it knows no more of than the name, and passes props.
 */
import type { ObjectClass } from "./objects.ts";
import type { OutboundTarget } from "./outbound.ts";
import type { Workflow } from "./workflows.ts";

/** Name of the entrypoint. */
export const START = "SkepStart";

/** JSON, percent-encoded, of an Aim. */
const AIM_HEADER = "x-skep-aim";

/** Which export is called. Left out: the default one. */
export interface Aim {
  readonly entrypoint?: string;
  readonly props: Readonly<Record<string, unknown>>;
}

export interface StartModule {
  /** Of the default export. */
  handlers(): Promise<readonly string[]>;
  call(aim: Aim, method: string, args: readonly unknown[]): Promise<unknown>;
}

/** What the gate is told of its cell, as the binding CELL. */
export interface StatefulGate {
  readonly life: number;
  readonly namespace: string;
  readonly script: string;
  readonly versionId: string;
  readonly limits: { readonly subrequests: number };
  readonly classes: readonly ObjectClass[];
  readonly workflows?: readonly Workflow[];
  /** To tell trace events (grants.ts). */
  readonly traceGrant: string;
  /** Of the namespace, until a call says otherwise; absent: none. */
  readonly outbound?: OutboundTarget;
}

/** Binding of the gate: the namespace of a class. */
export function objectsBinding(key: string): string {
  return `OBJECTS_${key}`;
}

/** The request for START's `fetch`. */
export function aimed(request: Request, aim: Aim): Request {
  const headers = new Headers(request.headers);
  headers.set(AIM_HEADER, encodeURIComponent(JSON.stringify(aim)));
  return new Request(request, { headers, redirect: "manual" });
}

/** Source of the start module. `shim`: a module to evaluate before any of the script. */
export function startSource(mainModule: string, shim: string | undefined): string {
  const main = JSON.stringify(`./${mainModule}`);
  return `import { WorkerEntrypoint } from "cloudflare:workers";
${shim === undefined ? "" : `import ${JSON.stringify(`./${shim}`)};\n`}import * as tenant from ${main};
export * from ${main};
export default tenant.default ?? {};
function exportOf(ctx, { entrypoint = "default", props }) {
  const named = Object.hasOwn(ctx.exports, entrypoint) ? ctx.exports[entrypoint] : undefined;
  if (named === undefined) throw new Error("Worker has no such entrypoint: " + entrypoint);
  return named({ props });
}
export class ${START} extends WorkerEntrypoint {
  fetch(request) {
    const headers = new Headers(request.headers);
    const aim = JSON.parse(decodeURIComponent(headers.get("${AIM_HEADER}")));
    headers.delete("${AIM_HEADER}");
    return exportOf(this.ctx, aim).fetch(new Request(request, { headers, redirect: "manual" }));
  }
  handlers() {
    const main = tenant.default ?? {};
    const handlers = typeof main === "function" ? main.prototype : main;
    return ["fetch", "scheduled", "queue", "tail"].filter((name) => typeof handlers[name] === "function");
  }
  call(aim, method, args) { return exportOf(this.ctx, aim)[method](...args); }
}
`;
}

/** Flags that the start module needs, whatever the script says. The runtime warns of those that are the default. */
export function startFlags(compatibilityDate: string): readonly string[] {
  return compatibilityDate < CTX_EXPORTS_DATE ? ["enable_ctx_exports"] : [];
}

const CTX_EXPORTS_DATE = "2025-11-17";

/** Of a trace event: an alarm of an object has ended. */
export function isAlarm(event: object | null): boolean {
  return event !== null && "scheduledTime" in event && !("cron" in event);
}
