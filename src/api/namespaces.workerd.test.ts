import { beforeAll, describe, expect, it } from "vitest";
import {
  bootstrap,
  call,
  edgeGate,
  failSupervisor,
  helloForm,
  hub,
  NAMESPACES,
  ROUTES,
  scriptPath,
  supervisorCalls,
} from "../hub/test/api.ts";

beforeAll(async () => {
  await bootstrap();
});

const absent = { status: 404, errors: [{ code: 100119 }] };

describe("namespaces", () => {
  it("are created, listed, changed and deleted", async () => {
    const created = await call("POST", NAMESPACES, { name: "fresh" });
    expect(created.result).toMatchObject({
      namespace_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      namespace_name: "fresh",
      script_count: 0,
      trusted_workers: false,
    });
    expect((await call("GET", `${NAMESPACES}/fresh`)).result).toEqual(created.result);
    const listed = await call("GET", `${NAMESPACES}?page=1`);
    expect(listed.result).toContainEqual(created.result);
    const trusted = await call("PUT", `${NAMESPACES}/fresh`, {
      name: "fresh",
      trusted_workers: true,
    });
    expect(trusted.result).toMatchObject({ namespace_name: "fresh", trusted_workers: true });
    const renamed = await call("PATCH", `${NAMESPACES}/fresh`, { name: "renamed" });
    expect(renamed.result).toMatchObject({
      namespace_id: created.result.namespace_id,
      namespace_name: "renamed",
      trusted_workers: true,
    });
    expect(await call("GET", `${NAMESPACES}/fresh`)).toMatchObject(absent);
    expect(await call("DELETE", `${NAMESPACES}/renamed`)).toMatchObject({
      success: true,
      result: null,
    });
    expect(await call("GET", `${NAMESPACES}/renamed`)).toMatchObject(absent);
  });

  it("are deleted with the data points of their functions", async () => {
    const { result } = await call("POST", NAMESPACES, { name: "measured" });
    const point = { dataset: "d", atMs: Date.now(), blobs: [], doubles: [], index: null };
    const body = JSON.stringify({ points: [{ namespace: "measured", ...point }] });
    await edgeGate.fetch("http://hub/analytics", { method: "POST", body });
    const kept = () => hub.ANALYTICS.getByName(result.namespace_id).datasets();
    expect(await kept()).toHaveLength(1);
    await call("DELETE", `${NAMESPACES}/measured`);
    await expect.poll(kept).toEqual([]);
  });

  it("are deleted with their scripts and routes, at the edges too", async () => {
    await call("POST", NAMESPACES, { name: "doomed" });
    await call("PUT", scriptPath("inside", "doomed"), helloForm("one"));
    const route = { pattern: "doomed.example/*", namespace: "doomed", script: "inside" };
    expect((await call("POST", ROUTES, route)).errors).toEqual([]);
    await supervisorCalls();
    const { result } = await call("GET", `${NAMESPACES}/doomed`);
    const points = hub.ANALYTICS.getByName(result.namespace_id as string);
    const point = { dataset: "d", atMs: Date.now(), index: null, blobs: [], doubles: [] };
    await points.write([point]);
    expect(await points.datasets()).toMatchObject([{ dataset: "d" }]);
    await call("DELETE", `${NAMESPACES}/doomed`);
    await expect.poll(() => points.datasets()).toEqual([]);
    const [push] = await supervisorCalls();
    expect(push?.body).toMatchObject({
      scripts: [{ namespace: "doomed", script: "inside", versionId: null }],
      routes: { routes: [] },
    });
    await call("POST", NAMESPACES, { name: "doomed" });
    expect((await call("GET", `${NAMESPACES}/doomed/scripts`)).result).toEqual([]);
  });

  it("do not share a name", async () => {
    const taken = await call("POST", NAMESPACES, { name: "production" });
    expect([taken.status, taken.errors[0]?.code]).toEqual([409, 930001]);
    await call("POST", NAMESPACES, { name: "second" });
    expect((await call("PUT", `${NAMESPACES}/second`, { name: "production" })).status).toBe(409);
    expect((await call("GET", `${NAMESPACES}/second`)).success).toBe(true);
  });

  it.each(["", "Upper", "dots.in.it", "-first", "last-", "x".repeat(64), "white space", "ü"])(
    "are not named %j",
    async (name) => {
      const answer = await call("POST", NAMESPACES, { name });
      expect([answer.status, answer.errors[0]?.code]).toEqual([400, 930002]);
    },
  );

  it.each([
    ["{", /JSON/],
    ["{}", /body\.name: /],
    ['{"name":1}', /body\.name: /],
  ])("are not created from %s", async (body, message) => {
    const answer = await call("POST", NAMESPACES, body);
    expect([answer.status, answer.errors[0]?.code]).toEqual([400, 10026]);
    expect(answer.errors[0]?.message).toMatch(message);
  });

  it("are created even if the certificate cannot be renewed", async () => {
    await failSupervisor("/certificate", 1);
    expect((await call("POST", NAMESPACES, { name: "uncertified" })).success).toBe(true);
  });
});

describe("custom routes", () => {
  beforeAll(async () => {
    await call("PUT", scriptPath("target"), helloForm("one"));
  });

  it("are created, listed, changed and deleted", async () => {
    const spec = {
      pattern: "https://*.Example.com/API/*",
      namespace: "production",
      script: "target",
    };
    const { result } = await call("POST", ROUTES, spec);
    expect(result).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      pattern: "https://*.example.com/API/*",
      namespace: "production",
      script: "target",
    });
    expect((await call("GET", `${ROUTES}/${result.id}`)).result).toEqual(result);
    expect((await call("GET", ROUTES)).result).toContainEqual(result);
    const optOut = { pattern: "example.com", namespace: "production", script: null };
    expect((await call("PUT", `${ROUTES}/${result.id}`, optOut)).result).toEqual({
      ...optOut,
      id: result.id,
      pattern: "example.com/",
    });
    expect((await call("DELETE", `${ROUTES}/${result.id}`)).result).toBe(null);
    for (const method of ["GET", "DELETE"]) {
      const answer = await call(method, `${ROUTES}/${result.id}`);
      expect([answer.status, answer.errors[0]?.code]).toEqual([404, 930005]);
    }
  });

  it.each<[object, number]>([
    [{ pattern: "a.*.example/*", namespace: "production", script: "target" }, 930004],
    [{ pattern: "a.example/*/b", namespace: "production", script: "target" }, 930004],
    [{ pattern: "ftp://a.example/*", namespace: "production", script: "target" }, 930004],
    [{ pattern: "a.example:80/*", namespace: "production", script: "target" }, 930004],
    [{ pattern: "a.example/*?q=1", namespace: "production", script: "target" }, 930004],
    [{ pattern: "/*", namespace: "production", script: "target" }, 930004],
    [{ pattern: "a.example/*", namespace: "absent", script: "target" }, 100119],
    [{ pattern: "a.example/*", namespace: "production", script: "absent" }, 10092],
    [{ pattern: "a.example/*" }, 10026],
  ])("are not made of %j", async (spec, code) => {
    expect((await call("POST", ROUTES, spec)).errors[0]?.code).toBe(code);
  });

  it("do not share a pattern, however it is written", async () => {
    const spec = { pattern: "twice.example/*", namespace: "production", script: "target" };
    await call("POST", ROUTES, spec);
    const again = await call("POST", ROUTES, { ...spec, pattern: "TWICE.example/*" });
    expect([again.status, again.errors[0]?.code]).toEqual([409, 10020]);
  });
});
