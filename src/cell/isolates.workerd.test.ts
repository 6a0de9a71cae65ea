import { describe, expect, it, vi } from "vitest";
import type { HostState } from "./test/host.ts";
import { bundleOf } from "./test/function.ts";
import { host, taken, tightHost } from "./test/workers.ts";

const POLL = { timeout: 10_000, interval: 50 };

/** Tells how often its isolate was called, and works in the background as the path says. */
const COUNTER = `
let count = 0;
export default {
  async fetch(request, env, ctx) {
    const { pathname, searchParams } = new URL(request.url);
    const ms = Number(searchParams.get("ms"));
    if (pathname === "/work") {
      ctx.waitUntil(scheduler.wait(ms).then(() => fetch("http://work.test/" + searchParams.get("id"))));
    }
    if (pathname === "/slow") await scheduler.wait(ms);
    if (pathname === "/never") await scheduler.wait(1e6);
    return new Response(String(++count));
  },
};`;

describe("wall limit", () => {
  it("rejects each of many calls that take too long, in its own request", async () => {
    const version = await host.load(COUNTER);
    const calls = Array.from({ length: 8 }, async (_, index) => {
      await scheduler.wait(index * 20);
      return host.call(version, { path: "/never", wallMs: 100 + index * 10 });
    });
    for (const response of await Promise.all(calls)) {
      expect(response.headers.get("x-failed")).toBe("1");
      expect(await response.json()).toMatchObject({
        name: "LimitError",
        limit: "exceededWallTime",
        message: expect.stringMatching(/^Worker exceeded wall time limit: .* within 1\d0 ms/),
      });
    }
  });

  it("leaves calls alone that answer in time while others do not", async () => {
    const version = await host.load(COUNTER);
    const late = host.call(version, { path: "/never", wallMs: 200 });
    const early = host.call(version, { path: "/slow?ms=400", wallMs: 10_000 });
    expect((await late).status).toBe(500);
    expect((await early).status).toBe(200);
  });

  it("ends with the head: the body may take longer", async () => {
    const version = await host.load(`export default { fetch() {
      let left = 4;
      return new Response(new ReadableStream({ async pull(controller) {
        if (left-- === 0) return controller.close();
        await scheduler.wait(100);
        controller.enqueue(new TextEncoder().encode("x"));
      } }));
    } }`);
    expect(await host.text(version, { wallMs: 150 })).toBe("xxxx");
  });
});

describe("calls", () => {
  it("answers undefined for a version that is not loaded", async () => {
    expect((await host.call(crypto.randomUUID())).status).toBe(404);
  });

  it("hands on props", async () => {
    const version = await host.load(
      "export default { fetch: (request, env, ctx) => Response.json(ctx.props) }",
    );
    expect(await host.text(version, { props: { tenant: "acme" } })).toBe('{"tenant":"acme"}');
  });

  it("lets a WebSocket through", async () => {
    const version = await host.load(`export default { fetch() {
      const { 0: client, 1: server } = new WebSocketPair();
      server.accept();
      server.addEventListener("message", ({ data }) => server.send("echo " + data));
      return new Response(null, { status: 101, webSocket: client });
    } }`);
    const { webSocket } = await host.call(version, { init: { headers: { upgrade: "websocket" } } });
    webSocket?.accept();
    const answer = new Promise((resolve) => {
      webSocket?.addEventListener("message", ({ data }) => resolve(data), { once: true });
    });
    webSocket?.send("bee");
    expect(await answer).toBe("echo bee");
    webSocket?.close();
  });

  it("says what a version's start failed of, and starts it anew at the next try", async () => {
    await expect(host.load("throw new TypeError('no hive')")).rejects.toThrow(
      /Failed to start Worker:[^]*no hive/,
    );
    const bundle = bundleOf(COUNTER);
    await host.loadBundle(bundle);
    expect(await host.text(bundle.versionId)).toBe("1");
  });
});

describe("ledger", () => {
  it("has what is under way and nothing else", async () => {
    const version = await host.load(COUNTER);
    const before = await host.state<HostState>();
    expect(before.underWay[version]).toBe(0);
    expect(before.begins - before.ends).toBe(0);
    const calls = [1, 2, 3].map(() => host.text(version, { path: "/slow?ms=300" }));
    await vi.waitFor(
      async () => expect((await host.state<HostState>()).underWay[version]).toBe(3),
      POLL,
    );
    await Promise.all(calls);
    const after = await host.state<HostState>();
    expect(after.underWay[version]).toBe(0);
    expect([after.begins - before.begins, after.ends - before.ends]).toEqual([3, 3]);
  });

  it("counts calls over their wall limit as ended", async () => {
    const version = await host.load(COUNTER);
    await (await host.call(version, { path: "/never", wallMs: 50 })).text();
    const { underWay, begins, ends } = await host.state<HostState>();
    expect([underWay[version], begins - ends]).toEqual([0, 0]);
  });

  it("gives up the entry of a version that fails to start", async () => {
    const bundle = bundleOf("throw new Error('no')");
    await expect(host.loadBundle(bundle)).rejects.toThrow("no");
    const { underWay, begins, ends } = await host.state<HostState>();
    expect(underWay[bundle.versionId]).toBeUndefined();
    expect(begins - ends).toBe(0);
  });
});

describe("eviction", () => {
  it("loses no waitUntil work and answers right when 60 functions share room for 10", async () => {
    await taken();
    const source = (index: number) => `export default { fetch(request, env, ctx) {
      ctx.waitUntil(scheduler.wait(300).then(() => fetch("http://work.test/${index}")));
      return new Response("function ${index}");
    } }`;
    const wrong: string[] = [];
    const done = new Set<string>();
    for (let index = 0; index < 60; index++) {
      const version = await tightHost.load(source(index));
      const answer = await tightHost.text(version);
      if (answer !== `function ${index}`) wrong.push(`${index}: ${answer}`);
      if (index % 20 === 0) await tightHost.do("sweep");
      for (const { url } of await taken()) done.add(url);
    }
    expect(wrong).toEqual([]);
    await vi.waitFor(async () => {
      for (const { url } of await taken()) done.add(url);
      expect(done.size).toBe(60);
    }, POLL);
    await tightHost.do("sweep?aheadMs=1500");
    const { size, underWay } = await tightHost.state<HostState>();
    expect(size).toBeLessThanOrEqual(10);
    // The ledger holds those, and none that ended.
    expect(Object.keys(underWay).length).toBe(size);
  }, 60_000);

  it("keeps the functions that were used last", async () => {
    const kept = await tightHost.load(COUNTER);
    for (let index = 0; index < 20; index++) {
      await tightHost.load(`export default { fetch: () => new Response("${index}") }`);
      await tightHost.text(kept);
    }
    await tightHost.do("sweep");
    expect(await tightHost.text(kept)).toBe("21");
  });

  it("ends isolates that idle for longer than the policy says, but none with min_warm", async () => {
    const idle = await host.load(COUNTER);
    const warm = await host.load(COUNTER, { minWarm: 1 });
    await host.do("sweep?aheadMs=50000");
    expect(await host.text(idle)).toBe("1");
    await host.do("sweep?aheadMs=130000");
    expect((await host.call(idle)).status).toBe(404);
    expect(await host.text(warm)).toBe("1");
  });

  it("waits for a superseded version's background work, then ends it", async () => {
    const bundle = bundleOf(COUNTER);
    const { versionId } = bundle;
    await host.loadBundle(bundle);
    await taken();
    await host.text(versionId, { path: "/work?ms=400&id=superseded" });
    await host.do(`supersede?version=${versionId}`);
    expect((await host.call(versionId)).status).toBe(404);
    await host.do("sweep");
    expect((await host.state<HostState>()).underWay[versionId]).toBe(0);
    await vi.waitFor(async () => {
      expect((await taken()).map(({ url }) => url)).toContain("http://work.test/superseded");
    }, POLL);
    await host.do("sweep");
    expect((await host.state<HostState>()).underWay[versionId]).toBeUndefined();
    await host.loadBundle(bundle);
    expect(await host.text(versionId)).toBe("1");
  });

  it("gives work that nothing can count its time", async () => {
    const source = `import { waitUntil } from "cloudflare:workers";
      export default { fetch() {
        waitUntil(scheduler.wait(300).then(() => fetch("http://work.test/imported")));
        return new Response("ok");
      } }`;
    const version = await host.load(source);
    await taken();
    await host.text(version);
    await host.do(`supersede?version=${version}`);
    await host.do("sweep?aheadMs=20000");
    await vi.waitFor(async () => {
      expect((await taken()).map(({ url }) => url)).toContain("http://work.test/imported");
    }, POLL);
    await host.do("sweep?aheadMs=40000");
    expect((await host.state<HostState>()).underWay[version]).toBeUndefined();
  });

  it("lets a response that streams finish", async () => {
    const version = await host.load(`export default { fetch() {
      let left = 5;
      return new Response(new ReadableStream({ async pull(controller) {
        if (left-- === 0) return controller.close();
        await scheduler.wait(60);
        controller.enqueue(new TextEncoder().encode("x"));
      } }));
    } }`);
    const response = await host.call(version);
    await host.do(`supersede?version=${version}`);
    await host.do("sweep?aheadMs=40000");
    expect((await host.state<HostState>()).underWay[version]).toBeUndefined();
    expect(await response.text()).toBe("xxxxx");
  });
});
