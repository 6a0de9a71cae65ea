// Workflows in the registry and in the API, without a runtime that runs them; test/objects/workflows.test.ts has one.
import { beforeAll, describe, expect, it } from "vitest";
import {
  ACCOUNT,
  bootstrap,
  call,
  ES_MODULE,
  MAIN,
  scriptPath,
  uploadForm,
} from "../hub/test/api.ts";

beforeAll(() => bootstrap());

const WORKFLOWS = `/accounts/${ACCOUNT}/workflows`;
const account = (script: string) => `/accounts/${ACCOUNT}/workers/scripts/${script}`;

function form(classes: readonly string[], bound: readonly [workflow: string, className: string][]) {
  const bindings = bound.map(([workflow_name, class_name], index) => ({
    type: "workflow",
    name: `FLOW_${index}`,
    workflow_name,
    class_name,
  }));
  const exported = classes.map((name) => `export class ${name} {}`).join("\n");
  const source = `${exported}\nexport default { fetch: () => new Response() };`;
  return uploadForm({ ...MAIN, bindings }, ["index.js", source, ES_MODULE]);
}

const deploy = (path: string, ...of: Parameters<typeof form>) => call("PUT", path, form(...of));
const refusal = (message: string) => ({
  success: false,
  errors: [{ message: expect.stringContaining(message) as string }],
});
const names = async () =>
  ((await call("GET", WORKFLOWS)).result as { name: string }[]).map(({ name }) => name);

describe("a Workflow", () => {
  it("comes with a deploy, is put as it was deployed only, and goes when nothing is bound to it", async () => {
    expect(await deploy(account("shop"), ["Order"], [["orders", "Order"]])).toMatchObject({
      success: true,
    });
    const body = { script_name: "shop", class_name: "Order", limits: { steps: 7 } };
    expect(await call("PUT", `${WORKFLOWS}/orders`, body)).toMatchObject({ success: true });
    const versions = await call("GET", `${WORKFLOWS}/orders/versions`);
    expect(versions.result).toMatchObject([{ class_name: "Order", limits: { steps: 7 } }]);
    const other = { ...body, class_name: "Other" };
    expect(await call("PUT", `${WORKFLOWS}/orders`, other)).toMatchObject(
      refusal("is the class 'Order' of the Worker 'shop'"),
    );
    expect(await call("PUT", `${WORKFLOWS}/none`, body)).toMatchObject(
      refusal("it is made by the deploy of 'shop'"),
    );
    for (const lacking of [
      { schedules: [{ cron: "* * * * *" }] },
      { concurrency: { limit: 1 } },
      { jurisdiction: "eu" },
    ]) {
      expect(await call("PUT", `${WORKFLOWS}/orders`, { ...body, ...lacking })).toMatchObject(
        refusal("is not supported by this platform"),
      );
    }
    expect(await call("DELETE", `${WORKFLOWS}/orders`)).toMatchObject(
      refusal("is bound to it. Deploy one without the binding first"),
    );
    await deploy(account("shop"), [], []);
    expect(await names()).toContain("orders");
    expect(await call("DELETE", `${WORKFLOWS}/orders`)).toMatchObject({ success: true });
    expect(await names()).not.toContain("orders");
  });

  it("has a name of its own among account Workers, and within its script elsewhere", async () => {
    await deploy(account("first"), ["Order"], [["unique", "Order"]]);
    expect(await deploy(account("second"), ["Order"], [["unique", "Order"]])).toMatchObject(
      refusal("belongs to the Worker 'first'"),
    );
    for (const script of ["first", "second"]) {
      const answer = await deploy(scriptPath(script), ["Order"], [["unique", "Order"]]);
      expect(answer.success).toBe(true);
    }
    expect((await names()).filter((name) => name === "unique")).toHaveLength(3);
  });

  it("has a class of its own", async () => {
    const path = account("classes");
    expect(await deploy(path, [], [["lacking", "Order"]])).toMatchObject(
      refusal("needs the class 'Order', which the script does not export"),
    );
    const both: Parameters<typeof form>[1] = [
      ["one", "Order"],
      ["two", "Order"],
    ];
    expect(await deploy(path, ["Order"], both)).toMatchObject(refusal("each needs one of its own"));
    // Under another name it is another one, and the one before rests.
    await deploy(path, ["Order"], [["before", "Order"]]);
    expect(await deploy(path, ["Order"], [["after", "Order"]])).toMatchObject({ success: true });
    expect(await names()).toEqual(expect.arrayContaining(["before", "after"]));
  });

  it("keeps its script from having two versions at a time", async () => {
    const path = account("single");
    const first = await deploy(path, ["Order"], [["single", "Order"]]);
    expect(first.success).toBe(true);
    const next = await call("POST", `${path}/versions`, form(["Order"], [["single", "Order"]]));
    const [before] = (await call("GET", `${path}/deployments`)).result.deployments;
    const versions = [
      { version_id: before.versions[0].version_id, percentage: 50 },
      { version_id: next.result.id, percentage: 50 },
    ];
    const body = { strategy: "percentage", versions };
    expect(await call("POST", `${path}/deployments`, body)).toMatchObject(
      refusal("give a single version 100 %"),
    );
  });
});
