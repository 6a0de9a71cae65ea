/** The Worker of a cell, called as edges, the supervisor and the hub call it. */
import { describe, expect, it } from "vitest";
import { encodeBundle, type Bundle } from "../protocol/bundle.ts";
import { forward, MissingError, type CellCall } from "../protocol/hop.ts";
import type { CellLoad, EdgeHealth, TrialResult } from "../protocol/hub.ts";
import { bundleOf } from "./test/function.ts";
import { workers } from "./test/workers.ts";

const HELLO =
  "export default { fetch: async (request) => new Response('hello ' + await request.text()) }";

async function load(bundle: Bundle): Promise<CellLoad> {
  const response = await workers.CELL.fetch("http://cell/load?namespace=production&script=f", {
    method: "POST",
    body: encodeBundle(bundle),
  });
  return response.json();
}

function call(versionId: string, request: Request, wallMs = 30_000): Promise<Response> {
  const cellCall: Omit<CellCall, "method"> = {
    namespace: "production",
    script: "f",
    versionId,
    args: undefined,
    limits: { cpuMs: 50, wallMs, subrequests: 50 },
    via: [],
  };
  return forward(workers.CELL, cellCall, request, { versionId: "" });
}

function control<Answer>(path: string, body?: BodyInit): Promise<Answer> {
  const url = `http://cell${path}`;
  return workers.CELL_CONTROL.fetch(url, { method: "POST", body: body ?? null }).then((response) =>
    response.json(),
  );
}

describe("a cell", () => {
  it("runs what it was sent", async () => {
    const bundle = bundleOf(HELLO);
    const { versionId } = bundle;
    expect((await workers.CELL.fetch(`http://cell/has?isolate=${versionId}`)).status).toBe(404);
    expect(await load(bundle)).toEqual({ ok: true, loadMs: expect.any(Number) });
    expect((await workers.CELL.fetch(`http://cell/has?isolate=${versionId}`)).status).toBe(204);
    const response = await call(
      versionId,
      new Request("http://f/", { method: "POST", body: "bee" }),
    );
    expect(await response.text()).toBe("hello bee");
  });

  it("says that it lacks a version and leaves the request alone", async () => {
    const request = new Request("http://f/", { method: "POST", body: "bee" });
    await expect(call(crypto.randomUUID(), request)).rejects.toThrow(MissingError);
  });

  it("passes on what the function threw, and that it was the function", async () => {
    const bundle = bundleOf("export default { fetch() { throw new RangeError('too far'); } }");
    await load(bundle);
    const error = await call(bundle.versionId, new Request("http://f/")).catch((thrown) => thrown);
    expect(error).toMatchObject({ name: "RangeError", message: "too far", remote: true });
  });

  it("ends calls over their wall limit", async () => {
    const bundle = bundleOf(
      "export default { fetch: () => scheduler.wait(1e6).then(() => new Response()) }",
    );
    await load(bundle);
    const error = await call(bundle.versionId, new Request("http://f/"), 50).catch((e) => e);
    expect(error).toMatchObject({ name: "LimitError", limit: "exceededWallTime" });
  });

  it("says why a version does not start", async () => {
    expect(await load(bundleOf("throw new TypeError('no hive')"))).toMatchObject({
      ok: false,
      message: expect.stringMatching(/^Failed to start Worker:[^]*no hive/),
    });
  });

  it("tells how many isolates it holds", async () => {
    const { loadedIsolates } = await control<EdgeHealth>("/heartbeat");
    await load(bundleOf(HELLO));
    const health = await control<EdgeHealth>("/heartbeat");
    expect(health.loadedIsolates).toBe(loadedIsolates + 1);
  });

  it("tries versions without keeping them", async () => {
    const bundle = bundleOf(HELLO);
    const { loadedIsolates } = await control<EdgeHealth>("/heartbeat");
    expect(await control<TrialResult>("/trial", encodeBundle(bundle))).toEqual({
      ok: true,
      startupTimeMs: expect.any(Number),
      handlers: ["fetch"],
      exports: [],
    });
    expect(await control<EdgeHealth>("/heartbeat")).toMatchObject({ loadedIsolates });
  });
});
