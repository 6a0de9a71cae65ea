import { beforeEach, describe, expect, it, vi } from "vitest";
import { host, taken } from "./test/workers.ts";

/** Fetches as often as the path says, at once, and answers with the errors. */
const FETCHER = `export default {
  async fetch(request, env, ctx) {
    const count = Number(new URL(request.url).pathname.slice(1));
    const headers = { "x-own": "1", "x-skep-egress": "forged", "X-Skep-Other": "forged" };
    const one = () => fetch("http://elsewhere.test/", { headers }).then(() => "ok", (error) => error.message);
    return Response.json(await Promise.all(Array.from({ length: count }, one)));
  },
}`;

beforeEach(async () => {
  await taken();
});

describe("the gate", () => {
  it("tells egress whose request it is, and lets no header of ours through that is not ours", async () => {
    const version = await host.load(FETCHER, { script: "shop" });
    expect(await host.text(version, { path: "/1" })).toBe('["ok"]');
    const [{ url, headers } = { url: "", headers: {} }] = await taken();
    expect(url).toBe("http://elsewhere.test/");
    const ours = Object.entries(headers).filter(([name]) => name.startsWith("x-"));
    expect(ours).toEqual([
      ["x-own", "1"],
      [
        "x-skep-egress",
        JSON.stringify({ namespace: "production", script: "shop", via: ["production/shop"] }),
      ],
    ]);
  });

  it("carries the longest chain of calls on that may have led here", async () => {
    const version = await host.load(
      `export default { async fetch(request) {
        if (request.url.endsWith("/wait")) await scheduler.wait(500);
        else await fetch("http://elsewhere.test" + new URL(request.url).pathname);
        return new Response();
      } }`,
      { script: "c" },
    );
    const deep = host.text(version, { path: "/wait", via: ["production/a", "production/b"] });
    await scheduler.wait(100);
    await host.text(version, { path: "/during" });
    await deep;
    await host.text(version, { path: "/after" });
    const chains = (await taken()).map(({ headers }) =>
      JSON.parse(headers["x-skep-egress"] ?? "").via.join(),
    );
    expect(chains).toEqual(["production/a,production/b,production/c", "production/c"]);
  });

  it("refuses subrequests beyond the limit, and says which it is", async () => {
    const version = await host.load(FETCHER);
    const answers = JSON.parse(
      await host.text(version, { path: "/5", subrequests: 3 }),
    ) as string[];
    expect(answers.filter((answer) => answer === "ok")).toHaveLength(3);
    expect(answers.at(-1)).toMatch(
      /^Too many subrequests by single Worker invocation\. It may make 3\. .*`subrequests` limit/,
    );
    expect(await taken()).toHaveLength(3);
  });

  it("begins anew with an invocation when none was under way", async () => {
    const version = await host.load(FETCHER);
    for (let call = 0; call < 3; call++) {
      expect(await host.text(version, { path: "/2", subrequests: 2 })).toBe('["ok","ok"]');
    }
  });

  it("lets concurrent invocations have what they may have together", async () => {
    const version = await host.load(FETCHER);
    const calls = Array.from({ length: 5 }, () =>
      host.text(version, { path: "/4", subrequests: 4 }),
    );
    for (const answer of await Promise.all(calls)) {
      expect(answer).toBe('["ok","ok","ok","ok"]');
    }
  });

  it("passes a body on as it comes", async () => {
    const version = await host.load(`export default { async fetch(request) {
      return fetch("http://elsewhere.test/", { method: "POST", body: request.body });
    } }`);
    const init = { method: "POST", body: "honey" };
    expect(await host.text(version, { init })).toBe("collected honey");
  });

  it("refuses connect()", async () => {
    const version = await host.load(`
      import { connect } from "cloudflare:sockets";
      export default { async fetch() {
        try {
          await connect("192.0.2.1:25").opened;
          return new Response("opened");
        } catch (error) {
          return new Response(error.message);
        }
      } }`);
    expect(await host.text(version)).toMatch(/cannot connect to the specified address/);
  });

  it("still counts for a response that streams from an isolate that has ended", async () => {
    const version = await host.load(`export default { fetch() {
      let left = 4;
      return new Response(new ReadableStream({ async pull(controller) {
        if (left-- === 0) return controller.close();
        await scheduler.wait(100);
        const text = await fetch("http://elsewhere.test/").then(() => "ok ", () => "no ");
        controller.enqueue(new TextEncoder().encode(text));
      } }));
    } }`);
    const response = await host.call(version, { subrequests: 3 });
    await host.do(`supersede?version=${version}`);
    await host.do("sweep?aheadMs=40000");
    expect(await response.text()).toBe("ok ok ok no ");
    await vi.waitFor(async () => expect(await taken()).toHaveLength(3));
  });
});
