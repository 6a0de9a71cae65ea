import { beforeAll, describe, expect, it } from "vitest";
import {
  helloForm,
  activeBundle,
  bootstrap,
  call,
  deploy,
  ES_MODULE,
  NAMESPACES,
  request,
  scriptPath,
  TOKEN,
  uploadForm,
  MAIN,
  hello,
} from "../hub/test/api.ts";

beforeAll(async () => {
  await bootstrap();
});

describe("a script that is not there", () => {
  it.each([
    ["GET", ""],
    ["DELETE", ""],
    ["GET", "/content"],
    ["GET", "/settings"],
    ["GET", "/bindings"],
    ["GET", "/secrets"],
    ["GET", "/secrets/A"],
    ["DELETE", "/secrets/A"],
    ["GET", "/tags"],
    ["PUT", "/tags/a"],
  ])("%s %s says 10092", async (method, path) => {
    const answer = await call(method, `${scriptPath("absent")}${path}`);
    expect([answer.status, answer.errors[0]?.code]).toEqual([404, 10092]);
  });
});

describe("content", () => {
  it("of one module comes as it is", async () => {
    await deploy("single", uploadForm(MAIN, hello));
    const response = await request("GET", `${scriptPath("single")}/content`);
    expect(response.headers.get("content-type")).toBe(ES_MODULE);
    expect(response.headers.get("cf-entrypoint")).toBe("index.js");
    expect(await response.text()).toBe(hello[1]);
  });

  it("of several modules comes as a form", async () => {
    await deploy("several", uploadForm(MAIN, hello, ["./a.txt", "A", "text/plain"]));
    const response = await request("GET", `${scriptPath("several")}/content`);
    const form = await response.formData();
    expect([...form.keys()]).toEqual(["index.js", "./a.txt"]);
    expect(await (form.get("./a.txt") as unknown as File).text()).toBe("A");
  });

  it("is replaced without touching bindings and settings", async () => {
    const metadata = {
      ...MAIN,
      compatibility_flags: ["nodejs_compat"],
      bindings: [
        { type: "plain_text", name: "A", text: "1" },
        { type: "secret_text", name: "KEY", text: "k" },
      ],
    };
    await deploy("replaced", uploadForm(metadata, hello));
    const form = new FormData();
    form.set(
      "next.js",
      new File([`export default { fetch() {}, scheduled() {} };`], "next.js", { type: ES_MODULE }),
    );
    const answer = await call("PUT", `${scriptPath("replaced")}/content`, form, {
      "cf-worker-main-module-part": "next.js",
    });
    expect(answer.errors).toEqual([]);
    expect(answer.result.handlers.sort()).toEqual(["fetch", "scheduled"]);
    expect(await activeBundle("replaced")).toMatchObject({
      mainModule: "next.js",
      compatibilityFlags: ["nodejs_compat"],
      env: { A: { value: "1" }, KEY: { value: "k" } },
    });
  });
});

describe("settings", () => {
  const path = `${scriptPath("set")}/settings`;

  beforeAll(async () => {
    const bindings = [{ type: "secret_text", name: "KEY", text: "k" }];
    await deploy("set", uploadForm({ ...MAIN, bindings, limits: { cpu_ms: 50 } }, hello));
  });

  it("show everything but the text of secrets", async () => {
    const { result } = await call("GET", path);
    expect(result).toEqual({
      bindings: [{ type: "secret_text", name: "KEY" }],
      compatibility_date: "2026-01-01",
      compatibility_flags: [],
      limits: { cpu_ms: 50 },
      placement: {},
      tags: [],
      logpush: false,
      observability: { enabled: false },
      tail_consumers: [],
      usage_model: "standard",
    });
    expect((await call("GET", `${scriptPath("set")}/bindings`)).result).toEqual(result.bindings);
  });

  it("of the script itself make no version", async () => {
    const { versionId } = await activeBundle("set");
    const { result } = await call("PATCH", path, {
      tags: ["t"],
      observability: { enabled: true, head_sampling_rate: 0.5 },
    });
    expect(result).toMatchObject({
      tags: ["t"],
      observability: { enabled: true, head_sampling_rate: 0.5 },
    });
    expect((await activeBundle("set")).versionId).toBe(versionId);
  });

  it("of a version make one, in a form or as JSON", async () => {
    const form = new FormData();
    form.set(
      "settings",
      JSON.stringify({ bindings: [{ type: "plain_text", name: "A", text: "1" }] }),
    );
    expect((await call("PATCH", path, form)).result.bindings).toEqual([
      { type: "plain_text", name: "A", text: "1" },
      { type: "secret_text", name: "KEY" },
    ]);
    const { result } = await call("PATCH", path, { compatibility_flags: ["nodejs_compat"] });
    expect(result).toMatchObject({ compatibility_flags: ["nodejs_compat"], tags: ["t"] });
    expect(await activeBundle("set")).toMatchObject({
      compatibilityFlags: ["nodejs_compat"],
      env: { A: { value: "1" }, KEY: { value: "k" } },
    });
  });

  it("under which the code does not start are refused", async () => {
    const { versionId } = await activeBundle("set");
    const answer = await call("PATCH", path, { compatibility_flags: ["no_such_flag"] });
    expect([answer.status, answer.errors[0]?.code]).toEqual([400, 10021]);
    expect((await activeBundle("set")).versionId).toBe(versionId);
  });
});

describe("secrets", () => {
  const path = `${scriptPath("secretive")}/secrets`;
  const secret = (name: string, text: string) => ({ name, text, type: "secret_text" });

  beforeAll(async () => {
    const bindings = [{ type: "plain_text", name: "VAR", text: "v" }];
    await deploy("secretive", uploadForm({ ...MAIN, bindings }, hello));
  });

  it("are written, listed without text and survive deploys", async () => {
    expect((await call("PUT", path, secret("A", "one"))).result).toEqual({
      name: "A",
      type: "secret_text",
    });
    await call("PUT", path, secret("A", "two"));
    await deploy("secretive", uploadForm({ ...MAIN, keep_bindings: ["plain_text"] }, hello));
    expect((await call("GET", path)).result).toEqual([{ name: "A", type: "secret_text" }]);
    expect((await call("GET", `${path}/A`)).result).toEqual({ name: "A", type: "secret_text" });
    expect((await activeBundle("secretive")).env).toEqual({
      VAR: { type: "value", value: "v" },
      A: { type: "value", value: "two" },
    });
  });

  it("are changed together by a merge patch", async () => {
    await call("PUT", path, secret("OLD", "x"));
    const before = await activeBundle("secretive");
    const patch = { secrets: { OLD: null, B: secret("B", "b"), C: secret("C", "c") } };
    const answer = await call("PATCH", `${scriptPath("secretive")}/secrets-bulk`, patch, {
      "content-type": "application/merge-patch+json",
    });
    expect(Object.keys(answer.result).sort()).toEqual(["A", "B", "C"]);
    const after = await activeBundle("secretive");
    expect(after.versionId).not.toBe(before.versionId);
    expect(after.env).toMatchObject({ B: { value: "b" }, C: { value: "c" } });
    expect(after.env["OLD"]).toBe(undefined);
  });

  it("are deleted under percent-encoded names", async () => {
    await call("PUT", path, secret("odd name/1", "x"));
    const odd = `${path}/odd%20name%2F1?url_encoded=true`;
    expect((await call("GET", odd)).success).toBe(true);
    expect((await call("DELETE", odd)).success).toBe(true);
    const again = await call("DELETE", odd);
    expect([again.status, again.errors[0]?.code]).toEqual([404, 10056]);
  });

  it.each<[object, number]>([
    [{ name: "VAR", text: "x", type: "secret_text" }, 10053],
    [{ name: "K", type: "secret_key", format: "raw" }, 10021],
    [{ name: "K", type: "secret_text" }, 10026],
    [{ text: "x", type: "secret_text" }, 10026],
    [{ name: "K", text: "x".repeat(6000), type: "secret_text" }, 10054],
  ])("are not made of %.60j", async (body, code) => {
    expect((await call("PUT", path, body)).errors[0]?.code).toBe(code);
  });
});

describe("tags", () => {
  it("are replaced, added and removed one by one, and select scripts", async () => {
    await call("POST", NAMESPACES, { name: "tags" });
    for (const name of ["one", "two"])
      await call("PUT", scriptPath(name, "tags"), uploadForm(MAIN, hello));
    const path = `${scriptPath("one", "tags")}/tags`;
    expect((await call("PUT", path, ["a", "b"])).result).toEqual(["a", "b"]);
    await call("PUT", `${path}/c%3Ad`);
    await call("DELETE", `${path}/a`);
    expect((await call("GET", path)).result).toEqual(["b", "c:d"]);
    const list = async (filter: string) => {
      const { result } = await call("GET", `${NAMESPACES}/tags/scripts?tags=${filter}`);
      return result.map(({ id }: { id: string }) => id);
    };
    expect(await list("b:yes")).toEqual(["one"]);
    expect(await list("b:no")).toEqual(["two"]);
    expect(await list("b:yes,c%3Ad:no")).toEqual([]);
    expect((await call("DELETE", `${NAMESPACES}/tags/scripts`)).errors[0]?.code).toBe(930003);
    const deleted = await call("DELETE", `${NAMESPACES}/tags/scripts?tags=b:yes`);
    expect(deleted.result).toEqual([{ id: "one" }]);
    expect((await call("GET", `${NAMESPACES}/tags/scripts`)).result).toHaveLength(1);
    expect((await call("PUT", path.replace("one", "two"), "null")).result).toEqual([]);
  });
});

it.each<[string, object]>([
  ["metadata.annotations", { annotations: { "workers/message": "x".repeat(5_000_000) } }],
  ["metadata.observability", { observability: { enabled: true, of: "x".repeat(5_000_000) } }],
  [
    "binding of type plain_text",
    { bindings: [{ type: "plain_text", name: "x".repeat(5_000_000), text: "" }] },
  ],
  [
    "binding R of type ratelimit",
    {
      bindings: [
        {
          type: "ratelimit",
          name: "R",
          namespace_id: "x".repeat(5_000_000),
          simple: { limit: 1, period: 10 },
        },
      ],
    },
  ],
])("what is too large to be kept is refused: %s", async (what, metadata) => {
  const { status, errors } = await deploy("large", helloForm("hi", metadata));
  expect(status).toBe(400);
  expect(errors[0]?.message).toContain(what);
});

it("never shows the token in an answer", async () => {
  const response = await request("GET", "/user/tokens/verify");
  expect(await response.text()).not.toContain(TOKEN);
});
