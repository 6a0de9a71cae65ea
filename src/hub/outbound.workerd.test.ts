/** Outbound Workers as the operator sets them, and as edges are told of them. */
import { beforeAll, describe, expect, it } from "vitest";
import type { ScriptState } from "../protocol/routing.ts";
import {
  bootstrap,
  call,
  deploy,
  edgeGate,
  helloForm,
  limitedToken,
  NAMESPACES,
  scriptPath,
  supervisorCalls,
} from "./test/api.ts";

const OUTBOUND = { script: "operator/gatekeeper", parameters: ["customer"] };
const TOLD = { namespace: "operator", script: "gatekeeper", parameters: ["customer"] };

beforeAll(async () => {
  await bootstrap();
  await call("POST", NAMESPACES, { name: "operator" });
  await call("POST", NAMESPACES, { name: "customers" });
  await call("PUT", scriptPath("gatekeeper", "operator"), helloForm("gate"));
  await call("PUT", scriptPath("shop", "customers"), helloForm("shop"));
  await supervisorCalls();
});

function set(namespace: string, outbound: object | null, headers?: Record<string, string>) {
  return call("PUT", `${NAMESPACES}/${namespace}`, { outbound }, headers);
}

async function pushed(): Promise<ScriptState[]> {
  const calls = await supervisorCalls();
  return calls.flatMap(({ body }) => (body as { scripts?: ScriptState[] } | null)?.scripts ?? []);
}

async function resolve(namespace: string, script: string): Promise<ScriptState> {
  const query = new URLSearchParams({ namespace, script });
  return (await edgeGate.fetch(`http://hub/resolve?${query.toString()}`)).json();
}

describe("the outbound Worker of a namespace", () => {
  it("is told to the edges with every script of the namespace, and taken back", async () => {
    const { result } = await set("customers", OUTBOUND);
    expect(result.outbound).toEqual(OUTBOUND);
    expect(await pushed()).toMatchObject([{ script: "shop", outbound: TOLD }]);
    expect((await resolve("customers", "shop")).outbound).toEqual(TOLD);
    expect((await resolve("operator", "gatekeeper")).outbound).toBeUndefined();
    expect((await call("GET", `${NAMESPACES}/customers`)).result.outbound).toEqual(OUTBOUND);

    await set("customers", OUTBOUND);
    await call("PUT", `${NAMESPACES}/customers`, { isolation: null });
    expect(await pushed()).toEqual([]);

    expect((await set("customers", null)).result.outbound).toBeNull();
    const [state] = await pushed();
    expect(state).toMatchObject({ script: "shop" });
    expect(state?.outbound).toBeUndefined();
  });

  it("has to exist, and its parameters have to be names", async () => {
    expect(await set("customers", { script: "nowhere/gatekeeper" })).toMatchObject({
      status: 404,
      errors: [{ message: expect.stringContaining("'nowhere'") }],
    });
    expect(await set("customers", { script: "operator/missing" })).toMatchObject({
      status: 404,
      errors: [{ message: expect.stringContaining("'missing'") }],
    });
    expect((await set("customers", { script: "gatekeeper" })).status).toBe(400);
    expect((await set("customers", { ...OUTBOUND, parameters: ["a-b"] })).status).toBe(400);
    expect(await pushed()).toEqual([]);
  });

  it("cannot have an outbound Worker itself", async () => {
    const itself = await set("operator", OUTBOUND);
    expect(itself).toMatchObject({
      status: 400,
      errors: [{ message: expect.stringContaining("has an outbound Worker itself") }],
    });
    await set("customers", OUTBOUND);
    const chained = await set("production", { script: "customers/shop" });
    expect(chained.errors[0]?.message).toMatch(/'customers', which has an outbound Worker itself/);
    await deploy("other", helloForm("other"));
    const behind = await set("operator", { script: "production/other" });
    expect(behind.errors[0]?.message).toMatch(/has the outbound Worker of 'customers'/);
    await set("customers", null);
  });

  it("follows its namespace to another name, which cannot be deleted", async () => {
    await set("customers", OUTBOUND);
    await supervisorCalls();
    const refused = await call("DELETE", `${NAMESPACES}/operator`);
    expect(refused.errors[0]?.message).toMatch(/has the outbound Worker of 'customers'/);
    await call("PUT", `${NAMESPACES}/operator`, { name: "renamed" });
    const told = (await pushed()).find(({ script }) => script === "shop");
    expect(told?.outbound).toEqual({ ...TOLD, namespace: "renamed" });
    await call("PUT", `${NAMESPACES}/renamed`, { name: "operator" });
    await set("customers", null);
  });

  it("may not be chosen by who may not touch its namespace", async () => {
    const token = await limitedToken("token-of-customers", { namespaces: ["customers"] });
    const headers = { authorization: `Bearer ${token}` };
    expect((await set("customers", OUTBOUND, headers)).status).toBe(403);
    expect((await set("customers", null, headers)).status).toBe(200);
  });
});
