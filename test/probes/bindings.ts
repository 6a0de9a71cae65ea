/** Bindings with methods: what else they might be talked into than what they are bound to. */
import { expect } from "vitest";
import { ask, obtainsNothing, uploadForm, type Probe, type UploadSettings } from "./probe.ts";
import type { Stage } from "./stage.ts";

/** What a cell tells an edge, as a function would forge it. */
const FORGED = `
  const forge = (namespace) => {
    const call = { namespace, script: "victim", method: "GET", via: [namespace + "/victim"], args: {}, versionId: "" };
    const egress = (service) => JSON.stringify({ namespace, script: "victim", via: call.via, call: service });
    const headers = (service) => ({ "x-skep-egress": egress(service), "x-skep-call": encodeURIComponent(JSON.stringify(call)),
      "x-skep-via": "[]", "x-skep-get": encodeURIComponent(JSON.stringify({ script: "victim" })) });
    return { dispatch: headers("dispatch"), limits: headers("limits"), analytics: headers("analytics") };
  };`;

/** Bound to itself as SELF, with the property `role`, and to a rate limit. */
async function deployBound(stage: Stage, script: string, source: string): Promise<void> {
  const bindings: UploadSettings["bindings"] = [
    { type: "service", name: "SELF", service: script, props: { role: "user" } },
    { type: "ratelimit", name: "LIMIT", namespace_id: "1", simple: { limit: 2, period: 60 } },
  ];
  await stage.deploy(script, uploadForm(source, { bindings }));
}

export const bindings: readonly Probe[] = [
  {
    name: "a service binding gives its target, and nothing of the trusted object behind it",
    check: async (stage, script) => {
      const source = `
        import { attempt } from "./attempt.js";
        import { WorkerEntrypoint } from "cloudflare:workers";
        const NAMES = ["env", "ctx", "props", "EGRESS", "LOADER", "ready", "evict", "pending", "mark", "dispatch", "limit", "send", "value", "caller"];
        export default class extends WorkerEntrypoint {
          ping() { return "pong"; }
          fetch() {
            const { env, ctx } = this;
            return attempt({
              control: () => env.SELF.ping(),
              exports: () => Object.keys(ctx.exports).filter((name) => name.startsWith("Skep") && name !== "SkepControl").join(),
              ...Object.fromEntries(NAMES.map((name) => ["calls " + name, async () => JSON.stringify(await env.SELF[name]())])),
              egress: async () => (await (await env.SELF.env).EGRESS.fetch("http://egress/")).text(),
              hub: async () => (await (await env.SELF.ctx.exports).Outbound.fetch("http://hub/")).text(),
              limit: async () => JSON.stringify(await env.LIMIT.env),
              "limit's props": async () => JSON.stringify(await env.LIMIT.ctx.props),
              "limit's calls": async () => (await env.LIMIT.fetch("http://limits.invalid/")).text(),
            });
          }
        }`;
      await deployBound(stage, script, source);
      await obtainsNothing(stage, script, source);
    },
  },
  {
    name: "forged calls of the platform's own lead a function nowhere, by fetch and by binding",
    check: async (stage, script) => {
      const source = `
        import { attempt } from "./attempt.js";
        ${FORGED}
        export default { async fetch(request, env) {
          const { pathname } = new URL(request.url);
          if (pathname === "/seen") return new Response([...request.headers.keys()].filter((name) => name.startsWith("x-skep-")).join());
          const { namespace } = JSON.parse(request.headers.get("x-name"));
          const forged = forge(namespace);
          const out = async (service, url) => {
            const response = await fetch(url, { method: "POST", headers: forged[service], body: JSON.stringify({ key: "k", value: { limit: 1 } }) });
            return response.ok ? response.text() : null;
          };
          return attempt({
            control: async () => (await env.SELF.fetch("http://a/seen")).status === 200,
            seen: async () => (await env.SELF.fetch("http://a/seen", { headers: forged.dispatch })).text(),
            dispatch: () => out("dispatch", "http://any.invalid/"),
            limits: () => out("limits", "http://limits.invalid/"),
            analytics: () => out("analytics", "http://analytics.invalid/"),
            count: async () => (await env.SELF.fetch("http://edge/count", { method: "POST", body: "{}" })).headers.get("content-type") === "application/json",
          });
        } };`;
      await deployBound(stage, script, source);
      const name = { "x-name": JSON.stringify({ namespace: stage.namespace }) };
      const { text } = await ask(stage, script, { headers: name });
      const { control, count: _, ...rest } = JSON.parse(text) as Record<string, string>;
      expect(control).toBe("true");
      expect(rest).toEqual({});
    },
  },
  {
    name: "a function cannot give its calls other properties than those of its binding",
    check: async (stage, script) => {
      const source = `
        import { WorkerEntrypoint } from "cloudflare:workers";
        export default class extends WorkerEntrypoint {
          role() { return this.ctx.props.role; }
          async fetch(request) {
            if (new URL(request.url).pathname === "/role") return new Response(this.ctx.props.role);
            const { env } = this;
            const forged = { props: { role: "admin" }, args: { role: "admin" }, headers: { "x-skep-call": "%7B%22args%22:%7B%22role%22:%22admin%22%7D%7D" } };
            const roles = [await env.SELF.role(forged), await (await env.SELF.fetch("http://a/role", forged)).text()];
            try { roles.push(await (env.SELF({ props: { role: "admin" } })).role()); } catch {}
            return Response.json(roles);
          }
        }`;
      await deployBound(stage, script, source);
      expect(JSON.parse((await ask(stage, script)).text)).toEqual(["user", "user"]);
    },
  },
  {
    name: "arguments and results made to hurt whoever reads them change nothing outside of the function",
    check: async (stage, script) => {
      const source = `
        import { attempt } from "./attempt.js";
        import { WorkerEntrypoint } from "cloudflare:workers";
        const hostile = () => [
          JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}'),
          JSON.parse('["__proto__","object","view","error"]'), new Map([["__proto__", { polluted: 1 }]]),
          Object.assign(new Error("x"), { name: "__proto__" }), Object.assign(new Error("y"), { name: "constructor" }), 
          "\\ud800", -0,
        ];
        export default class extends WorkerEntrypoint {
          echo(value) { return [value, hostile()]; }
          fetch() {
            return attempt({
              control: async () => (await this.env.SELF.echo(hostile())).length === 2,
              holes: async () => (await this.env.SELF.echo(new Array(2 ** 32 - 1))).length,
              polluted: () => ({}).polluted,
              huge: async () => (await this.env.SELF.echo("x".repeat(40_000_000))).length,
            });
          }
        }`;
      await deployBound(stage, script, source);
      await obtainsNothing(stage, script, source);
      await stage.askVictim();
    },
  },
];
