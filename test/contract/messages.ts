/** Cases: requests reach the user Worker unchanged, and so do its responses on their way back. */
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import type { Probe } from "./target.ts";

/** What the script `mirror` answers. */
interface Mirrored {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly [string, string][];
  readonly body: string;
  readonly cf: unknown;
  readonly props: unknown;
}

export function describeMessages(probe: () => Probe): void {
  describe("messages", () => {
    test.each(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "REPORT"])(
      "the method %s arrives",
      async (method) => {
        const response = await probe().send("mirror", "/", { method });
        expect(await response.json()).toMatchObject({ method });
      },
    );

    test("HEAD arrives, and its answer has headers alone", async () => {
      const response = await probe().send("mirror", "/", { method: "HEAD" });
      expect(response.headers.get("x-method")).toBe("HEAD");
      expect(response.body).toBeNull();
    });

    test("the URL arrives as it was sent", async () => {
      const path = "/a%20b/%E2%82%AC/..%2f/;x=1?q=%26&q=2&empty=&=";
      const { url } = await probe().json<Mirrored>("mirror", path);
      expect(url.slice(new URL(url).origin.length)).toBe(path);
    });

    test("so does one that the dispatcher makes up", async () => {
      const url = "https://shop.example/orders?page=2";
      const init = { method: "PUT", body: "42", headers: { "x-own": "yes" } };
      const mirrored = await probe().json<Mirrored>({ script: "mirror", mode: "call", url, init });
      expect(mirrored).toMatchObject({ method: "PUT", url, body: "42" });
      expect(mirrored.headers).toContainEqual(["x-own", "yes"]);
    });

    test("headers and body of a request arrive", async () => {
      const response = await probe().send("mirror", "/", {
        method: "POST",
        body: "grüß Gott",
        headers: {
          "x-custom": "a, b",
          "content-type": "text/x-greeting",
          authorization: "Bearer x",
        },
      });
      const { headers, body } = (await response.json()) as Mirrored;
      expect(body).toBe("grüß Gott");
      expect(headers).toEqual(
        expect.arrayContaining([
          ["x-custom", "a, b"],
          ["content-type", "text/x-greeting"],
          ["authorization", "Bearer x"],
          ["content-length", "11"],
        ]),
      );
    });

    test("user Workers see no request.cf", async () => {
      expect((await probe().json<Mirrored>("mirror")).cf).toBeNull();
    });

    test("status, headers and body of a response come back", async () => {
      const response = await probe().send("answers", "/teapot");
      expect(response.status).toBe(418);
      expect(response.headers.get("x-kind")).toBe("tea");
      expect(await response.text()).toBe("short and stout");
    });

    test("a user Worker's own 500 is a response like any other", async () => {
      const response = await probe().send("answers", "/500");
      expect(response.headers.get("x-probe-threw")).toBeNull();
      expect([response.status, await response.text()]).toEqual([500, "my own fault"]);
    });

    test("two cookies stay two headers", async () => {
      const { headers } = await probe().send("answers", "/cookies");
      expect(headers.getSetCookie()).toEqual(["a=1", "b=2; Path=/"]);
    });

    test("redirects are the client's to follow", async () => {
      const response = await probe().send("answers", "/redirect");
      expect([response.status, response.headers.get("location")]).toEqual([302, "/elsewhere"]);
    });

    test.each([204, 304])("a %i has no body", async (status) => {
      const response = await probe().send("answers", `/${status}`);
      expect([response.status, response.body]).toEqual([status, null]);
    });

    test("a compressed body comes back as the user Worker compressed it", async () => {
      const response = await probe().send("answers", "/zipped", {
        headers: { "accept-encoding": "gzip" },
      });
      expect(response.headers.get("content-encoding")).toBe("gzip");
      expect(gunzipSync(await response.arrayBuffer()).toString()).toBe("unzipped");
    });

    test("args arrive as ctx.props", async () => {
      const args = { tenant: "acme", plan: { seats: [1, 2], trial: false, note: null } };
      expect((await probe().json<Mirrored>({ script: "mirror", args })).props).toEqual(args);
      expect((await probe().json<Mirrored>("mirror")).props).toEqual({});
    });

    test("args and env reach a Worker that is a class", async () => {
      const args = { tenant: "acme" };
      expect(await probe().json({ script: "entrypoint", args })).toEqual({ env: {}, props: args });
    });

    test("limits are accepted", async () => {
      const options = { limits: { cpuMs: 50, subRequests: 5 } };
      expect(await probe().text({ script: "hello", options })).toBe("hello");
    });
  });
}
