/** Schedules and invocations by the API, down to what the real store makes of them. No edge is there to run anything. */
import { beforeAll, describe, expect, it } from "vitest";
import {
  ACCOUNT,
  bootstrap,
  call,
  deploy,
  helloForm,
  limitedToken,
  NAMESPACES,
  request,
  scriptPath,
} from "../hub/test/api.ts";

const worker = (name: string) => `/accounts/${ACCOUNT}/workers/scripts/${name}`;
const S = scriptPath("woken");

beforeAll(async () => {
  await bootstrap();
  await deploy("woken", helloForm("one"));
});

describe("schedules", () => {
  it.each([
    ["a user Worker", S],
    ["an account Worker", worker("timed")],
  ])("of %s are set, kept and cleared", async (_, path) => {
    if (path !== S) await call("PUT", path, helloForm("timed"));
    expect((await call("GET", `${path}/schedules`)).result).toEqual({ schedules: [] });
    const crons = [{ cron: "*/5 * * * *" }, { cron: "0 17 * * sun" }, { cron: "*/5 * * * *" }];
    const put = await call("PUT", `${path}/schedules`, crons);
    expect(put.errors).toEqual([]);
    const kept = put.result.schedules as { cron: string; created_on: string }[];
    expect(kept.map(({ cron }) => cron)).toEqual(["*/5 * * * *", "0 17 * * sun"]);
    expect((await call("GET", `${path}/schedules`)).result.schedules).toEqual(kept);
    const again = await call("PUT", `${path}/schedules`, crons.slice(1, 2));
    expect(again.result.schedules).toMatchObject([{ created_on: kept[1]?.created_on }]);
    const { next, runs } = (await call("GET", `${path}/schedules/runs`)).result;
    expect(runs).toEqual([]);
    expect(next).toMatchObject([{ cron: "0 17 * * sun" }]);
    expect(new Date(next[0].scheduled_time as string).getUTCDay()).toBe(0);
    expect((await call("PUT", `${path}/schedules`, [])).result).toEqual({ schedules: [] });
    expect((await call("GET", `${path}/schedules/runs`)).result).toEqual({ runs: [], next: [] });
  });

  it("that cannot be read are refused, and change nothing", async () => {
    await call("PUT", `${S}/schedules`, [{ cron: "1 * * * *" }]);
    const refused = await call("PUT", `${S}/schedules`, [
      { cron: "2 * * * *" },
      { cron: "* * * * 0" },
    ]);
    expect(refused.errors[0]?.message).toBe(
      "The cron expression '* * * * 0' is not valid: its day of the week is '0' and must be 1-7 or SUN-SAT (1 is Sunday).",
    );
    const many = Array.from({ length: 251 }, (_, n) => ({ cron: `${n % 60} * * * *` }));
    expect((await call("PUT", `${S}/schedules`, many)).errors[0]?.message).toContain("251");
    expect((await call("GET", `${S}/schedules`)).result.schedules).toMatchObject([
      { cron: "1 * * * *" },
    ]);
    expect((await call("PUT", `${S}-not/schedules`, [])).status).toBe(404);
  });

  it("go with their Worker", async () => {
    await deploy("brief", helloForm("one"));
    const path = scriptPath("brief");
    await call("PUT", `${path}/schedules`, [{ cron: "1 * * * *" }]);
    await call("DELETE", path);
    await deploy("brief", helloForm("one"));
    expect((await call("GET", `${path}/schedules`)).result).toEqual({ schedules: [] });
  });
});

describe("invocations", () => {
  const post = async (headers: Record<string, string>, body = "payload", path = S) =>
    call("POST", `${path}/invocations`, body, headers);

  it("of type Event are stored and wait for an edge", async () => {
    const { status, result } = await post({ "invocation-type": "Event" });
    expect(status).toBe(202);
    expect(result).toMatchObject({ type: "Event", payload_bytes: 7, response: null });
    const got = (await call("GET", `${S}/invocations/${result.id}`)).result;
    expect(got.id).toBe(result.id);
    await expect
      .poll(async () => (await call("GET", `${S}/invocations/${result.id}`)).result)
      .toMatchObject({ status: "waiting", attempts: 0, error: "there is no edge" });
    const { invocations } = (await call("GET", `${S}/invocations?status=waiting&limit=1`)).result;
    expect(invocations).toMatchObject([{ id: result.id }]);
  });

  it("of type RequestResponse end at once", async () => {
    const { status, result } = await post({});
    expect(status).toBe(200);
    expect(result).toMatchObject({ status: "failed", error: "there is no edge", response: null });
  });

  it("with the same idempotency key are one", async () => {
    const headers = { "invocation-type": "Event", "idempotency-key": "order-1" };
    const first = (await post(headers)).result;
    expect((await post(headers, "other")).result).toMatchObject({ id: first.id, payload_bytes: 7 });
    const long = await post({ "idempotency-key": "x".repeat(256) });
    expect(long.errors[0]?.message).toContain("256 characters");
  });

  it("of type DryRun only say whether they would be", async () => {
    const { result } = await post({ "invocation-type": "DryRun" });
    expect(result).toMatchObject({ type: "DryRun", script: "woken" });
    expect((await post({ "invocation-type": "DryRun" }, "", scriptPath("none"))).status).toBe(404);
    expect((await post({ "invocation-type": "Later" })).errors[0]?.message).toBe(
      "Invocation-Type is 'Later', expected RequestResponse, Event, DryRun",
    );
  });

  it("take 256 KiB", async () => {
    const most = "x".repeat(256 * 1024);
    expect((await post({ "invocation-type": "Event" }, most)).status).toBe(202);
    expect((await post({ "invocation-type": "Event" }, `${most}x`)).status).toBe(413);
    const both = await post({ "invocation-payload": "r2://bucket/key" });
    expect(both.errors[0]?.message).toContain("and no body");
  });

  it("say which header names a bucket or key that is none", async () => {
    const refused = async (reference: string, path = S) =>
      (await post({ "invocation-payload": reference }, "", path)).errors[0]?.message;
    expect(await refused("r2://absent/orders/1.json")).toBe(
      "the header Invocation-Payload: r2://absent/orders/1.json leads to the R2 bucket 'absent', which does not exist in the dispatch namespace 'production' or, for this token, in the account. Create it first.",
    );
    await call("PUT", worker("payer"), helloForm("one"));
    expect(await refused("r2://absent/1", worker("payer"))).toContain(
      "R2 bucket 'absent', which does not exist in this account. Create it first.",
    );
    for (const reference of ["r2://absent", "s3://bucket/key", "r2:///key"]) {
      expect(await refused(reference)).toBe(
        `Invocation-Payload is '${reference}', expected r2://bucket/key (the key as in a URL), and no body`,
      );
    }
    const config = { on_failure: { type: "queue", queue: "none" } };
    expect((await call("PUT", `${S}/invocations/config`, config)).errors[0]?.message).toMatch(
      /^on_failure leads to the queue 'none', which does not exist .* Create it first\.$/,
    );
  });

  it("that nobody remembers are not found", async () => {
    expect((await call("GET", `${S}/invocations/none`)).errors[0]).toMatchObject({ code: 930090 });
    expect((await call("GET", `${S}/invocations?status=odd`)).status).toBe(400);
  });

  it("are configured", async () => {
    const path = `${S}/invocations/config`;
    expect((await call("GET", path)).result).toEqual({
      max_attempts: 3,
      retry_delay_seconds: 60,
      max_age_seconds: 21_600,
      on_success: null,
      on_failure: null,
    });
    const wanted = {
      max_attempts: 5,
      retry_delay_seconds: 1,
      max_age_seconds: 60,
      on_success: { type: "function", script: "woken" },
      on_failure: { type: "url", url: "https://example.com/failed" },
    };
    expect((await call("PUT", path, wanted)).result).toEqual(wanted);
    expect((await call("GET", path)).result).toEqual(wanted);
    const bad = async (body: object) => (await call("PUT", path, body)).errors[0]?.message;
    expect(await bad({ max_attempts: 0 })).toContain("body.max_attempts");
    expect(await bad({ on_failure: { type: "url", url: "ftp://a" } })).toContain("on_failure");
    expect(await bad({ on_success: { type: "function", script: "nobody" } })).toContain("nobody");
    expect(await bad({ on_success: { type: "queue", queue: "none" } })).toContain("'none'");
    expect((await call("PUT", path, {})).result).toMatchObject({ max_attempts: 3 });
  });

  it("need the permission for data", async () => {
    const token = await limitedToken("deployer", { permissions: ["deploy"] });
    const headers = { authorization: `Bearer ${token}` };
    expect((await post(headers)).status).toBe(403);
    const reader = await limitedToken("data", {
      permissions: ["data"],
      namespaces: ["production"],
    });
    const own = { authorization: `Bearer ${reader}`, "invocation-type": "DryRun" };
    expect((await post(own)).status).toBe(200);
    await call("PUT", worker("timed"), helloForm("timed"));
    expect((await post(own, "", worker("timed"))).status).toBe(403);
    await call("POST", NAMESPACES, { name: "foreign" });
    expect(
      (await request("GET", `${NAMESPACES}/foreign/scripts/x/invocations`, { headers: own }))
        .status,
    ).toBe(403);
  });
});
