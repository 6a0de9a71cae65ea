import { expect, test } from "vitest";
import type { Bundle, EnvValue } from "../../protocol/bundle.ts";
import type { StatefulGate } from "../../protocol/stateful.ts";
import { statefulConfig } from "./config.ts";

const KEY = "a".repeat(32);
const paths = {
  run: "/d/run",
  state: "/d/state",
  blobs: "/d/blobs",
  store: "/d/store",
  workers: "/w",
};

function textOf(env: Readonly<Record<string, EnvValue>>, more: Partial<StatefulGate> = {}): string {
  const bundle: Bundle = {
    versionId: "v",
    compatibilityDate: "2024-01-01",
    compatibilityFlags: ["nodejs_compat"],
    syntax: "modules",
    mainModule: "start.js",
    modules: [
      { name: "./main.js", type: "esm", content: new Uint8Array() },
      { name: "map.js.map", type: "source-map", content: new Uint8Array() },
      { name: "x.wasm", type: "wasm", content: new Uint8Array() },
      { name: "start.js", type: "esm", content: new Uint8Array() },
    ],
    env,
  };
  const gate = {
    life: 7,
    namespace: "n",
    script: "s",
    versionId: "v",
    limits: { subrequests: 50 },
    classes: [{ key: KEY, className: "C" }],
    traceGrant: "00",
    ...more,
  };
  const settings = {
    gate,
    ledgerKey: "ff",
    bundle,
    objects: "/d/objects/1",
    modules: "/d/run/stateful/7",
  };
  return statefulConfig(paths as never, settings).text;
}

test("the start module comes first, and the runtime gets no source maps", () => {
  const text = textOf({});
  expect(text).toContain(
    '(name = "start.js", esModule = embed "stateful/7/3.module"), ' +
      '(name = "main.js", esModule = embed "stateful/7/0.module"), ' +
      '(name = "x.wasm", wasm = embed "stateful/7/2.module")',
  );
  expect(text).not.toContain("map.js.map");
});

test("a class keeps its key, own classes are the runtime's own, those of other scripts go through the gate", () => {
  const of = { type: "durable-object-namespace", namespace: "n", className: "C" } as const;
  const text = textOf({
    OWN: { ...of, owner: "s", key: KEY },
    OTHER: { ...of, owner: "t", key: "b".repeat(32), grant: "11" },
  });
  expect(text).toContain(`(className = "C", uniqueKey = "${KEY}", enableSql = true)`);
  expect(text).toContain('(name = "OWN", durableObjectNamespace = (className = "C"))');
  expect(text).toMatch(
    /\(name = "OTHER", service = \(name = "cell", entrypoint = "Skep\w+", props/,
  );
});

test("no value ends its string and adds configuration", () => {
  const text = textOf({
    SECRET: { type: "value", value: 'x"), (name = "STOLEN", service = "store"' },
    'N"AME': { type: "value", value: 1 },
  });
  expect(text).not.toContain('(name = "STOLEN"');
  expect(text).not.toContain('N"AME');
});

test("everything that a script can reach is an entrypoint of the gate", () => {
  const id = { id: "1", name: "n" };
  const text = textOf({
    KV: { type: "kv", ...id },
    R2: { type: "r2", ...id },
    D1: { type: "d1", ...id },
    Q: { type: "queue", ...id },
    S: { type: "service", namespace: "n", script: "t" },
  });
  const script = text.slice(text.indexOf('(name = "function", worker'));
  const bindings = script.slice(
    script.indexOf("bindings = "),
    script.indexOf("durableObjectStorage"),
  );
  for (const [, designator] of bindings.matchAll(
    /(?:service|kvNamespace|r2Bucket|queue) = \(name = "(\w+)"/g,
  )) {
    expect(designator).toBe("cell");
  }
  expect(bindings.match(/name = "cell"/g)).toHaveLength(5);
  expect(script).toContain('globalOutbound = (name = "cell", entrypoint = "Outbound"');
});

test("a Workflow is run by the runtime's engine; without one there is no engine", () => {
  const env = {
    FLOW: { type: "workflow", workflow: "orders" },
    GONE: { type: "workflow", workflow: "gone" },
  } as const;
  const orders = { name: "orders", className: "Order", settings: { steps: 7 } };
  const text = textOf(env, { workflows: [orders] });
  expect(text).toContain('bundled = "/workerd/workflows.js"');
  expect(text).toContain(
    '(className = "Order", name = "orders", bindingService = (name = "workflows"',
  );
  expect(text).toContain(
    '(name = "FLOW", wrapped = (moduleName = "cloudflare-internal:workflows-api"',
  );
  expect(text).toContain('className = "miniflare-workflows-orders", serviceName = "function"');
  expect(text).not.toContain("GONE");
  expect(textOf({})).not.toMatch(/workflows/);
});
