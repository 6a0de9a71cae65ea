import { beforeAll, describe, expect, it } from "vitest";
import {
  bootstrap,
  call,
  deploy,
  edgeGate,
  helloForm,
  NAMESPACES,
  scriptPath,
  supervisorCalls,
} from "../hub/test/api.ts";
import { DEFAULT_PLATFORM_LIMITS } from "../protocol/limits.ts";
import type { ScriptState } from "../protocol/routing.ts";

const { defaults } = DEFAULT_PLATFORM_LIMITS;
const OF_NAMESPACE = `${NAMESPACES}/production/limits`;

beforeAll(async () => {
  await bootstrap();
});

async function limitsOf(script: string): Promise<ScriptState["limits"]> {
  const response = await edgeGate.fetch(`http://hub/resolve?namespace=production&script=${script}`);
  return (await response.json<ScriptState>()).limits;
}

describe("limits", () => {
  it("are the version's, else the script's, the namespace's, the platform's", async () => {
    await deploy("layered", helloForm("one", { limits: { cpu_ms: 60 } }));
    const path = `${scriptPath("layered")}/limits`;
    expect((await call("GET", path)).result).toEqual({
      limits: {},
      effective: { ...defaults, cpu_ms: 60 },
    });
    await call("PUT", OF_NAMESPACE, { cpu_ms: 10, memory_mb: 64, wall_ms: 5_000 });
    await call("PUT", path, { cpu_ms: 20, memory_mb: 32 });
    const effective = { ...defaults, cpu_ms: 60, memory_mb: 32, wall_ms: 5_000 };
    expect((await call("GET", path)).result).toEqual({
      limits: { cpu_ms: 20, memory_mb: 32 },
      effective,
    });
    expect(await limitsOf("layered")).toEqual(effective);
    await deploy("layered", helloForm("two"));
    expect(await limitsOf("layered")).toEqual({ ...effective, cpu_ms: 20 });
    await call("PUT", OF_NAMESPACE, {});
  });

  it("are replaced as a whole, and reach the edges at once", async () => {
    await deploy("replaced", helloForm("one"));
    const path = `${scriptPath("replaced")}/limits`;
    await call("PUT", path, { subrequests: 7, requests_per_second: 3 });
    await supervisorCalls();
    const answer = await call("PUT", path, { subrequests: null, concurrency: 5 });
    expect(answer.result.limits).toEqual({ concurrency: 5 });
    const ofScript = { script: "replaced", limits: { ...defaults, concurrency: 5 } };
    const [push] = await supervisorCalls();
    expect(push?.body).toMatchObject({ scripts: [ofScript] });
    await call("PUT", OF_NAMESPACE, { namespace_concurrency: 9 });
    const [next] = await supervisorCalls();
    const limits = { ...ofScript.limits, namespace_concurrency: 9 };
    expect(next?.body).toMatchObject({
      scripts: expect.arrayContaining([expect.objectContaining({ script: "replaced", limits })]),
    });
    expect((await call("PUT", OF_NAMESPACE, {})).result).toEqual({
      limits: {},
      effective: defaults,
    });
  });

  it.each<[object | string, RegExp]>([
    [{ cpu_ms: 4 }, /^body\.cpu_ms: expected a whole number from 5 to 30000 ms, got 4$/],
    [{ cpu_ms: 30_001 }, /^body\.cpu_ms: .*, got 30001$/],
    [
      { subrequests: 1.5 },
      /^body\.subrequests: expected a whole number from 1 to 10000, got 1\.5$/,
    ],
    [{ cpu: 5 }, /^body\.cpu: there is no such limit; there are cpu_ms, memory_mb/],
    [{ cpu_ms: "5" }, /^body\.cpu_ms: /],
    [{ namespace_concurrency: 5 }, /^body\.namespace_concurrency: is a limit of a namespace/],
    ["[]", /^body: /],
  ])("of %j are refused", async (body, message) => {
    await deploy("refusing", helloForm("one"));
    const answer = await call("PUT", `${scriptPath("refusing")}/limits`, body);
    expect([answer.status, answer.errors[0]?.code]).toEqual([400, 930007]);
    expect(answer.errors[0]?.message).toMatch(message);
  });

  it("of an upload beyond the operator's maximum are refused, not capped", async () => {
    const answer = await deploy("greedy", helloForm("one", { limits: { cpu_ms: 60_000 } }));
    expect([answer.status, answer.errors[0]?.code]).toEqual([400, 10021]);
    expect(answer.errors[0]?.message).toMatch(
      /^metadata\.limits\.cpu_ms: .* to 30000 ms, got 60000$/,
    );
    await deploy("greedy", helloForm("one"));
    const patched = await call("PATCH", `${scriptPath("greedy")}/settings`, {
      limits: { subrequests: 0 },
    });
    expect(patched.errors[0]?.message).toMatch(/^settings\.limits\.subrequests: .*, got 0$/);
  });

  it("are those of a namespace and script that exist", async () => {
    expect((await call("GET", `${NAMESPACES}/absent/limits`)).status).toBe(404);
    expect((await call("PUT", `${scriptPath("absent")}/limits`, {})).status).toBe(404);
  });
});
