import { beforeAll, describe, expect, it } from "vitest";
import {
  activeBundle,
  bootstrap,
  call,
  deploy,
  ES_MODULE,
  helloForm,
  request,
  scriptPath,
  uploadForm,
  MAIN,
  hello,
} from "../hub/test/api.ts";

beforeAll(async () => {
  await bootstrap();
});

const JS = "application/javascript";

describe("an upload", () => {
  it("answers what wrangler prints", async () => {
    const { result, success } = await call(
      "PUT",
      `${scriptPath("first")}?excludeScript=true&bindings_inherit=strict`,
      uploadForm({ ...MAIN, tags: ["a"] }, hello),
      { "user-agent": "wrangler/4.164.0" },
    );
    expect(success).toBe(true);
    expect(result).toMatchObject({
      id: "first",
      etag: expect.stringMatching(/^[0-9a-f]{64}$/),
      deployment_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      startup_time_ms: expect.any(Number),
      handlers: ["fetch"],
      has_modules: true,
      tags: ["a"],
      last_deployed_from: "wrangler",
    });
    const seen = await call("GET", scriptPath("first"));
    expect(seen.result).toMatchObject({
      dispatch_namespace: "production",
      script: { id: "first", etag: result.etag },
    });
  });

  it("has modules of every type", async () => {
    const wasm = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
    const main = `import text from "./t.txt"; import data from "./d.bin"; import wasm from "./w.wasm"; import cjs from "./c.cjs";
      if (text !== "ü" || data.byteLength !== 3 || !(wasm instanceof WebAssembly.Module) || cjs.one !== 1) throw new Error("wrong module");
      export default { fetch() {} };`;
    const answer = await deploy(
      "modules",
      uploadForm(
        MAIN,
        ["index.js", main, ES_MODULE],
        ["./t.txt", "ü", "text/plain"],
        ["./d.bin", new Uint8Array([1, 2, 3]), "application/octet-stream"],
        ["./w.wasm", wasm, "application/wasm"],
        ["./c.cjs", "module.exports = { one: 1 };", JS],
        ["index.js.map", "{}", "application/source-map"],
      ),
    );
    expect(answer.errors).toEqual([]);
    const { modules } = await activeBundle("modules");
    expect(modules.map(({ type }) => type)).toEqual([
      "esm",
      "text",
      "data",
      "wasm",
      "cjs",
      "source-map",
    ]);
  });

  it("may be a service worker with blobs as globals", async () => {
    const script = `if (NOTE !== "note") throw new Error("no note");
      addEventListener("fetch", (event) => event.respondWith(new Response(NOTE)));`;
    const answer = await deploy(
      "classic",
      uploadForm(
        {
          body_part: "worker.js",
          compatibility_date: "2026-01-01",
          bindings: [{ type: "text_blob", name: "NOTE", part: "note" }],
        },
        ["worker.js", script, JS],
        ["note", "note", "text/plain"],
      ),
    );
    expect(answer.errors).toEqual([]);
    expect(answer.result).toMatchObject({ handlers: ["fetch"], has_modules: false });
    expect((await activeBundle("classic")).env).toEqual({
      NOTE: { type: "module", module: "note", as: "text" },
    });
  });

  it("may be a bare script", async () => {
    const answer = await call(
      "PUT",
      scriptPath("bare"),
      `addEventListener("fetch", (event) => event.respondWith(new Response("bare")));`,
      { "content-type": JS },
    );
    expect(answer.errors).toEqual([]);
    expect(answer.result).toMatchObject({ has_modules: false, compatibility_date: "2021-11-02" });
  });

  it("is read whatever its content type says, and with metadata in the SDK's fields", async () => {
    const form = new FormData();
    form.append("metadata[main_module]", "worker.mjs");
    form.append("metadata[compatibility_date]", "2026-01-01");
    form.append("metadata[compatibility_flags][]", "nodejs_compat");
    form.append("metadata[bindings][][type]", "plain_text");
    form.append("metadata[bindings][][name]", "A");
    form.append("metadata[bindings][][text]", "5");
    form.append("metadata[bindings][][type]", "json");
    form.append("metadata[bindings][][name]", "B");
    form.append("metadata[bindings][][json][n]", "5");
    form.append("metadata[tags][]", "sdk");
    form.append("metadata[logpush]", "false");
    form.append("files[worker.mjs]", new File([hello[1]], "ignored.mjs", { type: ES_MODULE }));
    const encoded = new Response(form);
    const response = await request("PUT", scriptPath("dialect"), {
      headers: { "content-type": JS },
      body: await encoded.arrayBuffer(),
    });
    expect(await response.json()).toMatchObject({ success: true, result: { tags: ["sdk"] } });
    const bundle = await activeBundle("dialect");
    expect(bundle).toMatchObject({
      mainModule: "worker.mjs",
      compatibilityFlags: ["nodejs_compat"],
      env: { A: { type: "value", value: "5" }, B: { type: "value", value: { n: 5 } } },
    });
  });

  it("tells a version its own id and tag", async () => {
    const metadata = {
      ...MAIN,
      bindings: [{ type: "version_metadata", name: "VERSION" }],
      annotations: { "workers/tag": "v7", "workers/message": "m" },
    };
    const { result } = await deploy("versioned", uploadForm(metadata, hello));
    expect((await activeBundle("versioned")).env["VERSION"]).toEqual({
      type: "value",
      value: { id: result.deployment_id, tag: "v7", timestamp: expect.stringContaining("T") },
    });
  });

  it("keeps tags that it does not mention", async () => {
    await deploy("tagged", uploadForm({ ...MAIN, tags: ["kept"] }, hello));
    const { result } = await deploy("tagged", uploadForm(MAIN, hello));
    expect(result.tags).toEqual(["kept"]);
  });

  it("inherits bindings, or says which it cannot", async () => {
    const bindings = [{ type: "plain_text", name: "A", text: "1" }];
    await deploy("heir", uploadForm({ ...MAIN, bindings }, hello));
    const inherit = (...names: string[]) =>
      uploadForm({ ...MAIN, bindings: names.map((name) => ({ type: "inherit", name })) }, hello);
    const path = `${scriptPath("heir")}?bindings_inherit=strict`;
    const answer = await call("PUT", path, inherit("A", "B", "C"));
    expect(answer.status).toBe(400);
    expect(answer.errors).toEqual([
      { code: 10057, message: expect.stringMatching(/^inherit binding 'B' is invalid/) },
      { code: 10057, message: expect.stringMatching(/^inherit binding 'C' is invalid/) },
    ]);
    expect((await call("PUT", path, inherit("A"))).success).toBe(true);
    expect((await activeBundle("heir")).env).toEqual({ A: { type: "value", value: "1" } });
  });
});

describe("a refused upload", () => {
  const refusals: Record<string, [FormData | string, number, number, RegExp]> = {
    "an empty body": ["", 400, 10026, /empty/],
    "a form without metadata": [uploadFormWithoutMetadata(), 400, 10026, /no part 'metadata'/],
    "metadata that is no JSON": [withMetadata("{"), 400, 10026, /"metadata" as JSON/],
    "no main module named": [
      uploadForm({}, hello),
      400,
      10021,
      /neither a main_module nor a body_part/,
    ],
    "a main module that is not there": [
      uploadForm({ main_module: "other.js" }, hello),
      400,
      10021,
      /'other\.js' is not among the uploaded parts: index\.js/,
    ],
    "a main module that is no ES module": [
      uploadForm(MAIN, ["index.js", "x", JS]),
      400,
      10021,
      /Main module must be an ES module/,
    ],
    "an import of a module that is not there": [
      uploadForm(MAIN, [
        "index.js",
        `import "./none.js"; export default { fetch() {} };`,
        ES_MODULE,
      ]),
      400,
      10021,
      /No such module "none\.js"/,
    ],
    "a syntax error": [
      uploadForm(MAIN, ["index.js", "export default {", ES_MODULE]),
      400,
      10021,
      /SyntaxError/,
    ],
    "top-level code that throws": [
      uploadForm(MAIN, ["index.js", `throw new TypeError("at once");`, ES_MODULE]),
      400,
      10021,
      /TypeError: at once/,
    ],
    "no handlers": [
      uploadForm(MAIN, ["index.js", "export default {};", ES_MODULE]),
      400,
      10068,
      /no registered event handlers/,
    ],
    Python: [
      uploadForm(MAIN, hello, ["main.py", "pass", "text/x-python"]),
      400,
      10162,
      /Python Workers are not supported/,
    ],
    "an unknown module type": [
      uploadForm(MAIN, hello, ["a.png", "", "image/png"]),
      400,
      10162,
      /'a\.png' has the unsupported Content-Type 'image\/png'/,
    ],
    "a date in the future": [
      helloForm("", { compatibility_date: "2999-01-01" }),
      400,
      10021,
      /^Can't set compatibility date in the future: 2999-01-01$/,
    ],
    "a date that is none": [
      helloForm("", { compatibility_date: "soon" }),
      400,
      10021,
      /^Invalid compatibility date: soon$/,
    ],
    "an unknown compatibility flag": [
      helloForm("", { compatibility_flags: ["no_such_flag"] }),
      400,
      10021,
      /no_such_flag/,
    ],
    "an experimental compatibility flag": [
      helloForm("", { compatibility_flags: ["experimental"] }),
      400,
      10021,
      /flag experimental is experimental .*\. This platform has no such flags: leave it out\.$/,
    ],
    "a binding of a type that is not supported": [
      helloForm("", { bindings: [{ type: "vectorize", name: "V", index_name: "x" }] }),
      400,
      10021,
      /binding V of type vectorize is not supported/,
    ],
    "a binding to a resource that is not there": [
      helloForm("", { bindings: [{ type: "kv_namespace", name: "KV", namespace_id: "x" }] }),
      400,
      10041,
      /binding KV of type kv_namespace leads to the KV namespace 'x', which does not exist/,
    ],
    "a binding without a name": [
      helloForm("", { bindings: [{ type: "plain_text", text: "x" }] }),
      400,
      10052,
      /bindings\[0\] of type plain_text has no name/,
    ],
    "two bindings of one name": [
      helloForm("", {
        bindings: ["a", "b"].map((text) => ({ type: "plain_text", name: "A", text })),
      }),
      400,
      10021,
      /more than one binding is named 'A'/,
    ],
    "a variable that is too large": [
      helloForm("", { bindings: [{ type: "plain_text", name: "A", text: "x".repeat(5121) }] }),
      400,
      10054,
      /5121 bytes/,
    ],
    "a blob binding in an ES module": [
      helloForm("", { bindings: [{ type: "wasm_module", name: "A", part: "index.js" }] }),
      400,
      10021,
      /service-worker syntax only/,
    ],
    containers: [
      helloForm("", { containers: [{ class_name: "A" }] }),
      400,
      10021,
      /metadata\.containers: .*not supported/,
    ],
    "nine tags": [
      helloForm("", { tags: Array.from({ length: 9 }, (_, n) => `t${n}`) }),
      400,
      930003,
      /9 tags/,
    ],
  };

  beforeAll(async () => {
    await deploy("steady", helloForm("steady"));
  });

  it.each(Object.entries(refusals))(
    "with %s leaves the old version in force",
    async (_what, [body, status, code, message]) => {
      const before = await activeBundle("steady");
      const answer = await call("PUT", scriptPath("steady"), body);
      expect(answer.errors[0]?.message).toMatch(message);
      expect([answer.status, answer.errors[0]?.code]).toEqual([status, code]);
      expect((await activeBundle("steady")).versionId).toBe(before.versionId);
    },
  );

  it("is too large only after compression", async () => {
    const size = 11 * 1024 * 1024;
    const code = `export default { fetch() {} };`;
    const upload = (content: Uint8Array) =>
      deploy(
        "heavy",
        uploadForm(
          MAIN,
          ["index.js", code, ES_MODULE],
          ["a.bin", content, "application/octet-stream"],
        ),
      );
    const noise = new Uint8Array(size);
    for (let at = 0; at < size; at += 65_536)
      crypto.getRandomValues(noise.subarray(at, at + 65_536));
    const answer = await upload(noise);
    expect([answer.status, answer.errors[0]?.code]).toEqual([400, 10027]);
    expect((await upload(new Uint8Array(size))).success).toBe(true);
  });

  it("has more than 64 MiB on the way", async () => {
    const response = await request("PUT", scriptPath("heavy"), {
      body: new Uint8Array(64 * 1024 * 1024 + 1),
    });
    expect([response.status, await response.json()]).toMatchObject([
      413,
      { errors: [{ code: 10027 }] },
    ]);
  });

  it.each(["Upper", "-dash", "dot.dot", "x".repeat(256)])(
    "is for no script named %.20s",
    async (name) => {
      const answer = await deploy(name, helloForm("x"));
      expect([answer.status, answer.errors[0]?.code]).toEqual([400, 10016]);
    },
  );

  it("is for no namespace that there is not", async () => {
    const answer = await call("PUT", scriptPath("x", "absent"), helloForm("x"));
    expect([answer.status, answer.errors[0]?.code]).toEqual([404, 100119]);
  });
});

function uploadFormWithoutMetadata(): FormData {
  const form = uploadForm({}, hello);
  form.delete("metadata");
  return form;
}

function withMetadata(text: string): FormData {
  const form = uploadForm({}, hello);
  form.set("metadata", text);
  return form;
}
