/** Hostile uploads and API calls: names that lead elsewhere, metadata without measure, credentials that are none. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { THROWN } from "./errors.ts";
import { ask, expectNoSentinel, uploadForm, type Probe } from "./probe.ts";
import { exchange, statuses } from "./raw-http.ts";

const OK = `export default { fetch: () => new Response("ok") };`;

export const uploads: readonly Probe[] = [
  {
    name: "names in API paths lead to nothing but a script of that name",
    check: async (stage) => {
      const { apiPort, apiToken, account } = stage.targets;
      const base = `/client/v4/accounts/${account}/workers/dispatch/namespaces/production/scripts`;
      const names = [
        "..%2f..%2fsecret.key",
        "%2e%2e%2f%2e%2e",
        "..",
        "../../../../healthz",
        "..\\..\\x",
        "%00",
        "a%00b",
        "%0d%0ax-injected:%201",
        "victim%2fcontent",
        "victim/..%2fvictim/content",
        "__proto__",
        "constructor",
        "%ff%fe",
        "%",
        "a".repeat(10_000),
        "victim;x",
        "VICTIM",
        "'%20OR%201=1--",
        "%F0%9F%92%A9",
      ];
      await Promise.all(
        names.flatMap((name) =>
          ["GET", "DELETE"].map(async (method) => {
            const text = await exchange(
              apiPort,
              `${method} ${base}/${name} HTTP/1.1\r\nhost: api\r\nauthorization: Bearer ${apiToken}\r\nconnection: close\r\n\r\n`,
            );
            const [status = 400] = statuses(text);
            expect(status, `${method} ${name}: ${text.slice(0, 300)}`).toBeLessThan(500);
            expectNoSentinel(stage, text);
            expect(text).not.toMatch(/^x-injected/im);
          }),
        ),
      );
      await Promise.all(
        names
          .filter((name) => !name.startsWith("victim"))
          .map(async (name) => {
            const path = `/workers/dispatch/namespaces/production/scripts/${name}`;
            const sent = stage.platform.api("PUT", path, uploadForm(OK));
            // A head that is too long ends the connection.
            const status = await sent.then(
              (response) => response.status,
              () => 400,
            );
            expect(status, `PUT ${name}`).toBeLessThan(500);
          }),
      );
    },
  },
  {
    name: "module names that climb out of the bundle write nothing on the host and reach nothing outside",
    check: async (stage, script) => {
      const { platform } = stage;
      const before = await listing(platform.data);
      const names = [
        "../../x.js",
        "../../../../../../tmp/skep-escaped.js",
        "/etc/skep-escaped.js",
        "..\\x.js",
        "a/../../b.js",
        "__proto__",
        "constructor",
        "cloudflare:workers",
        "node:fs",
        "node:process",
        "workerd:unsafe",
        "skep-start.js",
        "./skep-start.js",
        "1-skep-start.js",
        "skep-globals.js",
        "%2e%2e%2fx.js",
        "a\0b.js",
        "a\r\nb.js",
        "x".repeat(5_000),
        "",
        ".",
        "/",
      ];
      const outcomes = await Promise.all(
        names.map(async (name, index) => {
          const source = `import * as other from ${JSON.stringify(name || "./")};
            export default { fetch: () => new Response(Object.keys(other).join()) };`;
          const form = uploadForm(source, { modules: { [name]: `export const mine = 1;` } });
          const deployed = await stage.deploy(`${script}-${index}`, form).then(
            () => true,
            () => false,
          );
          return deployed ? { name, answer: await ask(stage, `${script}-${index}`) } : undefined;
        }),
      );
      for (const outcome of outcomes) {
        if (outcome === undefined) continue;
        const { name, answer } = outcome;
        // The module itself, the runtime's module of that name with its public exports, or the function's exception.
        const fine = answer.status === 200 || answer.headers.get("x-skep-error") === "1101";
        expect(fine, `${JSON.stringify(name)}: ${answer.status} ${answer.text}`).toBe(true);
      }
      const after = await listing(platform.data);
      expect(
        after.filter((name) => !before.includes(name)).filter((name) => /escaped|\.js$/.test(name)),
      ).toEqual([]);
      expect((await readdir("/tmp")).filter((name) => name.includes("skep-escaped"))).toEqual([]);
    },
  },
  {
    name: "a module with the name of the trusted one does not take its place",
    source: OK,
    check: async (stage, script) => {
      const forged = `import { WorkerEntrypoint } from "cloudflare:workers";
        export class SkepControl extends WorkerEntrypoint { ready() { return { handlers: [], exports: [] }; } }
        export default { fetch: () => new Response("forged") };`;
      const trusted = ["skep-start.js", "skep-marker.js", "skep-globals.js", "skep-trusted.js"];
      await stage.deploy(
        script,
        uploadForm(OK, { modules: Object.fromEntries(trusted.map((name) => [name, forged])) }),
      );
      for (let i = 0; i < 3; i++) expect((await ask(stage, script)).text).toBe("ok");
    },
  },
  {
    name: "what a module offers cannot be forged into something the platform chokes on",
    check: async (stage) => {
      const { platform, deploy, askVictim } = stage;
      const tail = `export default { fetch: () => new Response("ok") };`;
      const forgeries = [
        forgedHandlers(20_000),
        forgedHandlers(300_000),
        `Object.keys = () => Array.from({ length: 3e5 }, (_, i) => "export".repeat(10) + i);`,
        `Object.getOwnPropertyNames = () => [{ toString() { throw 1; } }, () => 1, new Proxy([], {})];`,
        `Array.prototype[Symbol.iterator] = function* () { yield* [1, 2, 3]; };`,
        `Object.defineProperty(Object.prototype, "handlers", { get() { throw new Error("no"); }, set() {} });`,
      ];
      const answers = await Promise.all(
        forgeries.map(async (forgery, index) => {
          const path = stage.pathOf(`forgery-${index}`);
          const { status } = await platform.api("PUT", path, uploadForm(`${forgery}\n${tail}`));
          return `${status} ${forgery.slice(0, 60)}`;
        }),
      );
      expect(answers.filter((answer) => !/^(?:200|400) /.test(answer))).toEqual([]);
      // Refused or not: the list of scripts stays one that can be read, and others can deploy.
      const list = await platform.api("GET", stage.pathOf("").replace(/\/$/, ""));
      expect(list.status).toBe(200);
      expect((await list.text()).length).toBeLessThan(200_000);
      await deploy("after-forgery", uploadForm(tail));
      expect((await ask(stage, "after-forgery")).text).toBe("ok");
      await askVictim();
    },
  },
  {
    name: "top-level code that throws what it likes is refused as the function's own failure",
    check: async ({ platform, pathOf, askVictim }) => {
      const wrong: string[] = [];
      await Promise.all(
        Object.entries(THROWN).map(async ([what, code], index) => {
          const path = pathOf(`thrown-${index}`);
          const form = new FormData();
          form.set(
            "metadata",
            JSON.stringify({ main_module: "i.js", compatibility_date: "2026-11-01" }),
          );
          const source = `throw ${code}; export default { fetch() {} };`;
          form.set("i.js", new File([source], "i.js", { type: "application/javascript+module" }));
          const response = await platform.api("PUT", path, form);
          const text = await response.text();
          if (response.status !== 400 || !text.includes("10021"))
            wrong.push(`${what}: ${response.status} ${text.slice(0, 200)}`);
          if (text.length > 100_000) wrong.push(`${what}: an answer of ${text.length} characters`);
        }),
      );
      expect(wrong).toEqual([]);
      await askVictim();
    },
  },
  {
    name: "metadata without measure or sense is refused, and the API goes on",
    check: async ({ platform, askVictim }) => {
      const raw = async (name: string, metadata: string) => {
        const form = new FormData();
        form.set("metadata", metadata);
        form.set("index.js", new File([OK], "index.js", { type: "application/javascript+module" }));
        const path = `/workers/dispatch/namespaces/production/scripts/${name}`;
        const response = await platform.api("PUT", path, form);
        return { status: response.status, text: await response.text() };
      };
      const base = `"main_module":"index.js","compatibility_date":"2026-11-01"`;
      const refused: Record<string, string> = {
        "deep nesting": "[".repeat(100_000) + "]".repeat(100_000),
        "deep bindings": `{${base},"bindings":[{"type":"json","name":"X","json":${"[".repeat(20_000)}${"]".repeat(20_000)}}]}`,
        "a nested value": `{${base},"bindings":[{"type":"json","name":"X","json":${"[".repeat(2_400)}${"]".repeat(2_400)}}]}`,
        "a big value": `{${base},"bindings":[{"type":"plain_text","name":"X","text":"${"x".repeat(1e6)}"}]}`,
        "no JSON": "{".repeat(1000),
        "a null": "null",
        "numbers as names": `{${base},"bindings":[{"type":"plain_text","name":1,"text":"x"}]}`,
        "experimental flags": `{${base},"compatibility_flags":["experimental"]}`,
        "made-up flags": `{${base},"compatibility_flags":["skep_escape"]}`,
        "experimental features": `{${base},"compatibility_flags":["service_binding_extra_handlers","unsafe_module","workerd_experimental"]}`,
        "a far date": `{"main_module":"index.js","compatibility_date":"9999-01-01"}`,
        "a huge limit": `{${base},"limits":{"cpu_ms":-1}}`,
      };
      const outcomes = await Promise.all(
        Object.entries(refused).map(async ([what, metadata], index) => {
          const { status, text } = await raw(`metadata-${index}`, metadata);
          return status >= 400 && status < 500 ? null : `${what}: ${status} ${text.slice(0, 200)}`;
        }),
      );
      expect(outcomes.filter((outcome) => outcome !== null)).toEqual([]);
      const tolerated: Record<string, string> = {
        "5 MB that nobody reads": `{${base},"unknown":"${"x".repeat(5e6)}"}`,
        "20,000 bindings": `{${base},"bindings":[${Array.from({ length: 20_000 }, (_, i) => `{"type":"plain_text","name":"N${i}","text":"x"}`).join()}]}`,
        "prototypes as bindings": `{${base},"bindings":[{"type":"json","name":"__proto__","json":{"polluted":true}},{"type":"plain_text","name":"constructor","text":"x"},{"type":"plain_text","name":"hasOwnProperty","text":"x"}]}`,
        "prototypes as keys": `{${base},"__proto__":{"polluted":true},"annotations":{"__proto__":"x","constructor":"y"}}`,
        "10,000 annotations": `{${base},"annotations":{${Array.from({ length: 10_000 }, (_, i) => `"a${i}":"x"`).join()}}}`,
        "long tags": `{${base},"tags":[${Array.from({ length: 10_000 }, (_, i) => `"t${i}"`).join()}]}`,
      };
      for (const [what, metadata] of Object.entries(tolerated)) {
        const { status, text } = await raw("metadata-tolerated", metadata);
        expect(status, `${what}: ${text.slice(0, 200)}`).toBeLessThan(500);
        if (status === 200) {
          const answer = await platform.fetch("metadata-tolerated", "/");
          expect(await answer.text(), what).toBe("ok");
        }
        await askVictim();
      }
    },
  },
  {
    name: "the API does nothing without a valid token",
    check: async (stage) => {
      const { apiPort, apiToken, account } = stage.targets;
      const base = `/client/v4/accounts/${account}/workers/dispatch/namespaces`;
      const credentials = {
        none: "",
        empty: "authorization: Bearer \r\n",
        wrong: `authorization: Bearer ${"0".repeat(64)}\r\n`,
        "a part": `authorization: Bearer ${apiToken.slice(0, -1)}\r\n`,
        "another case": `authorization: Bearer ${swapCase(apiToken)}\r\n`,
        basic: `authorization: Basic ${btoa(`user:${apiToken}`)}\r\n`,
        cookie: `cookie: token=${apiToken}\r\n`,
        "key without e-mail": `x-auth-key: ${apiToken}\r\n`,
        SQL: `authorization: Bearer 'OR'1'='1\r\n`,
        "a megabyte": `authorization: Bearer ${"x".repeat(30_000)}\r\n`,
      };
      await Promise.all(
        Object.entries(credentials).flatMap(([what, header]) =>
          [
            "/production/scripts",
            "",
            "/production/scripts/victim/settings",
            "/production/scripts/victim/content",
          ].map(async (path) => {
            const text = await exchange(
              apiPort,
              `GET ${base}${path} HTTP/1.1\r\nhost: api\r\n${header}connection: close\r\n\r\n`,
            );
            expect(statuses(text)[0] ?? 400, `${what} ${path}`).toBeGreaterThanOrEqual(400);
            expect(text).not.toContain('"success":true');
            expectNoSentinel(stage, text);
          }),
        ),
      );
      for (const path of [
        "/bootstrap",
        "/incident",
        "/hostnames",
        "/resolve?namespace=production&script=victim",
        `/bundles/00000000-0000-4000-8000-000000000000`,
        "/metrics",
        "/client/v4/../../healthz/../metrics",
      ]) {
        for (const method of ["GET", "POST"]) {
          const text = await exchange(
            apiPort,
            `${method} ${path} HTTP/1.1\r\nhost: api\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`,
          );
          expect(statuses(text)[0] ?? 400, `${method} ${path}`).toBeGreaterThanOrEqual(400);
        }
      }
      // No answer of the API, with the token, shows a secret's value or a token.
      for (const path of [
        "/production/scripts/victim/settings",
        "/production/scripts/victim/secrets",
        "/production/scripts/victim/secrets/SECRET",
        "/production/scripts/victim/bindings",
        "/production/scripts/victim",
      ]) {
        const response = await stage.platform.api("GET", `/workers/dispatch/namespaces${path}`);
        expectNoSentinel(stage, await response.text());
      }
    },
  },
  {
    name: "hosts that are made up lead to no function and no memory",
    check: async (stage) => {
      const hosts = [
        "prototype.production",
        "victim.__proto__",
        "victim.constructor",
        "victim.production.x",
        "..",
        "victim..production",
        `${"a".repeat(60_000)}`,
        "victim.production.localhost.evil",
      ];
      for (const host of hosts) {
        const text = await exchange(
          stage.targets.httpPort,
          `GET / HTTP/1.1\r\nhost: ${host}.localhost\r\nconnection: close\r\n\r\n`,
        );
        expect([undefined, 400, 404, 431], host.slice(0, 100)).toContain(statuses(text)[0]);
        expectNoSentinel(stage, text);
      }
      await stage.askVictim();
    },
  },
];

const forgedHandlers = (count: number) =>
  `globalThis.Set = class { add() {} *[Symbol.iterator]() { for (let i = 0; i < ${count}; i++) yield "handler".repeat(10) + i; } };`;

const swapCase = (text: string) =>
  text.replace(/[a-z]/gi, (c) => (c === c.toLowerCase() ? c.toUpperCase() : c.toLowerCase()));

/** Names in the data directory, but for the database's own. */
async function listing(data: string): Promise<string[]> {
  const entries = await readdir(data, { recursive: true, withFileTypes: true });
  return entries.map((entry) => join(entry.parentPath, entry.name));
}
