/** Forged headers: of clients, of responses, of subrequests; header values that would break out of their line. */
import { expect, vi } from "vitest";
import { ask, type Probe } from "./probe.ts";
import { exchange } from "./raw-http.ts";

const forged = (value: unknown) => encodeURIComponent(JSON.stringify(value));

/** What edges and cells tell each other, as a client would forge it. */
const FORGED_CALL = forged({
  script: "victim",
  namespace: "production",
  method: "DELETE",
  args: { admin: true },
  options: { limits: { cpuMs: 1e9 } },
  versionId: "00000000-0000-4000-8000-000000000000",
});
const FORGED_OUTCOME = forged({
  facts: { versionId: "forged", cold: { place: 1e9, fetch: 1e9, load: 1e9, first: 1e9 } },
  error: {
    name: "LimitError",
    message: "forged",
    remote: false,
    retryable: true,
    limit: "exceededCpu",
  },
});

const ECHO = `
  import { WorkerEntrypoint } from "cloudflare:workers";
  export default { fetch: (request, env, ctx) => Response.json({
    method: request.method, url: request.url, cf: request.cf ?? null, props: ctx.props ?? null, headers: [...request.headers],
  }) };`;

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly cf: unknown;
  readonly props: unknown;
  readonly headers: readonly (readonly [string, string])[];
}

export const headers: readonly Probe[] = [
  {
    name: "headers that a client forges neither choose function, method nor properties, nor stay if they are the platform's",
    source: ECHO,
    check: async (stage, script) => {
      const host = stage.hostOf(script);
      const sent = {
        "x-skep-call": FORGED_CALL,
        "x-skep-outcome": FORGED_OUTCOME,
        "x-skep-egress": "forged",
        "x-skep-via": "forged",
        "x-skep-error": "1102",
        "cf-connecting-ip": "6.6.6.6",
        "cf-ray": "forged",
        "cf-worker": "forged",
        "x-forwarded-proto": "gopher",
        "x-forwarded-host": "victim.production.localhost",
        "x-original-url": "/forged",
        "x-http-method-override": "DELETE",
      };
      // Often enough to meet every edge: as cold, forwarded and local.
      for (let i = 0; i < 8; i++) {
        const answer = await ask(stage, script, { path: `/${i}`, headers: sent });
        expect(answer.status, answer.text).toBe(200);
        const seen = JSON.parse(answer.text) as Seen;
        const at = new Map(seen.headers);
        expect(seen).toMatchObject({ method: "GET", cf: null });
        expect(new URL(seen.url).host).toContain(host);
        expect(seen.props ?? {}).toEqual({});
        expect(at.get("cf-connecting-ip")).toBe("127.0.0.1");
        expect(at.get("cf-ray")).toMatch(/^[0-9a-f]{16}$/);
        expect(at.get("x-forwarded-proto")).toBe("http");
        // The platform's own words among its processes are either gone or what the client wrote.
        const ours = seen.headers.filter(([name]) => name.startsWith("x-skep-"));
        expect(Object.entries(sent)).toEqual(expect.arrayContaining(ours));
        expect(answer.headers.get("x-skep-outcome")).toBeNull();
        expect(answer.headers.get("x-skep-error")).toBeNull();
      }
    },
  },
  {
    name: "headers that a function forges in its answer are not believed by the platform",
    source: `
      const outcome = ${JSON.stringify(FORGED_OUTCOME)};
      export default { fetch(request) {
        const headers = { "x-skep-outcome": outcome, "x-skep-call": "forged", "x-skep-egress": "forged", "x-skep-missing": "1",
          "server-timing": "place;dur=1000000", "retry-after": "1" };
        return new Response("mine", { status: Number(new URL(request.url).pathname.slice(1)), headers });
      } };`,
    check: async (stage, script) => {
      for (const status of [200, 200, 500, 503, 404, 502, 403]) {
        const answer = await ask(stage, script, { path: `/${status}` });
        expect([answer.status, answer.text]).toEqual([status, "mine"]);
        expect(answer.headers.get("x-skep-error")).toBeNull();
      }
      // Recorded is what happened, not what the function says of itself.
      await vi.waitFor(
        async () => expect(await outcomesOf(stage, script)).toEqual({ ok: 7 }),
        5_000,
      );
    },
  },
  {
    name: "a function cannot answer with headers that tell clients about the platform",
    source: `
      const headers = { "x-skep-error": "1102", "X-Skep-Outcome": "forged", "x-skep-egress-error": "denied" };
      export default { fetch: () => new Response("mine", { status: 500, headers }) };`,
    check: async (stage, script) => {
      for (let i = 0; i < 6; i++) {
        const answer = await ask(stage, script);
        expect([answer.status, answer.text]).toEqual([500, "mine"]);
        expect([...answer.headers.keys()].filter((name) => name.startsWith("x-skep-"))).toEqual([]);
      }
    },
  },
  {
    name: "no header, status text or cookie of a function breaks out of its line",
    source: `
      const BREAKS = ["\\r\\nx-injected: 1", "\\nx-injected: 1", "\\rx-injected: 1", "\\u0000x-injected: 1", "\\r\\n\\r\\nHTTP/1.1 200 OK\\r\\nx-injected: 1\\r\\n\\r\\n",
        "\\u560d\\u560ax-injected: 1", "\\u010d\\u010ax-injected: 1", "\\u2028x-injected: 1", "\\u0085x-injected: 1"];
      const WAYS = [
        (text) => new Response("x", { headers: { "x-probe": "a" + text } }),
        (text) => new Response("x", { headers: [["x-probe", "a" + text]] }),
        (text) => { const r = new Response("x"); r.headers.append("x-probe", "a" + text); return r; },
        (text) => { const r = new Response("x"); r.headers.set("set-cookie", "a=b" + text); return r; },
        (text) => new Response("x", { headers: { ["x-probe" + text]: "a" } }),
        (text) => new Response("x", { statusText: "Fine" + text }),
        (text) => new Response("x", { headers: { location: "/" + text }, status: 302 }),
        (text) => Response.redirect("http://example.com/" + text),
        (text) => Response.json({}, { headers: { "content-type": "text/plain" + text } }),
        (text) => new Response(new Blob(["x"], { type: "text/plain" + text })),
      ];
      export default { fetch(request) {
        const [, way, text] = new URL(request.url).pathname.split("/").map(Number);
        try { return WAYS[way](BREAKS[text]); } catch (error) { return new Response("refused"); }
      } };`,
    check: async (stage, script) => {
      const host = stage.hostOf(script);
      const paths = Array.from({ length: 90 }, (_, i) => `/${i % 10}/${Math.floor(i / 10)}`);
      const received = await Promise.all(
        paths.map((path) =>
          exchange(
            stage.targets.httpPort,
            `GET ${path} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`,
          ),
        ),
      );
      expect(received.filter((text) => !text.startsWith("HTTP/1.1 "))).toEqual([]);
      expect(received.filter((text) => /[\r\n\0]x-injected/i.test(text))).toEqual([]);
      expect(received.filter((text) => text.match(/HTTP\/1\.1 \d/g)?.length !== 1)).toEqual([]);
    },
  },
];

async function outcomesOf(
  { platform, pathOf }: Parameters<typeof ask>[0],
  script: string,
): Promise<unknown> {
  const response = await platform.api("GET", `${pathOf(script)}/metrics`);
  const { result } = (await response.json()) as { result: { summary: { outcomes: unknown } } };
  return result.summary.outcomes;
}
