/**
 * A probe: a hostile function, or a hostile client or uploader, that tries to get what it must not have.
 *
 * Most probes are a Worker that tries several ways by `attempt` and answers with what it obtained; the runner
 * asserts that this is nothing. One way may be named `control`: it must succeed, so that a probe which is broken,
 * rather than refused, fails. Other probes bring a check of their own.
 */
import { expect } from "vitest";
import type { Outgoing } from "../http.ts";
import type { Stage } from "./stage.ts";

export interface Probe {
  /** What the platform does, as a sentence. */
  readonly name: string;
  /** Main module; absent: nothing is deployed for it. It may import `attempt` and `reach` from "./attempt.js". */
  readonly source?: string;
  readonly upload?: UploadSettings;
  /** `script` is the name under which the source was deployed. @default obtainsNothing */
  readonly check?: (stage: Stage, script: string) => Promise<void>;
}

export interface UploadSettings {
  readonly flags?: readonly string[];
  readonly bindings?: readonly object[];
  /** More modules: ES modules by name. */
  readonly modules?: Readonly<Record<string, string>>;
}

/**
 * Module of every probe. A way obtains whatever it returns but undefined, null, false and "". `reach` tells whether a
 * URL was reached: the platform's own refusals are marked by a header, which destinations cannot set.
 */
const ATTEMPT = `
export async function attempt(ways, patienceMs = 4000) {
  const obtained = {};
  const late = new Promise((resolve) => setTimeout(resolve, patienceMs, null));
  await Promise.all(Object.entries(ways).map(async ([name, way]) => {
    try {
      const value = await Promise.race([way(), late]);
      if (value === undefined || value === null || value === false || value === "") return;
      const text = typeof value === "string" ? value : JSON.stringify(value) ?? String(value);
      obtained[name] = text.slice(0, 2000);
    } catch {}
  }));
  return Response.json(obtained);
}
export async function reach(url, init) {
  const response = await fetch(url, init);
  const refused = [...response.headers.keys()].some((name) => name.startsWith("x-skep-egress"));
  if (refused && (response.status === 502 || response.status === 403)) return null;
  // A public name of the platform itself leads to its public face, which knows no such function.
  if (response.headers.get("x-skep-error") === "1016") return null;
  return response.status + " " + (await response.text()).slice(0, 500);
}
`;

/** Probes are about what a function can get, not about what it may use: that it is slow here must not end it. */
const LIMITS = { cpu_ms: 10_000, subrequests: 1_000 };

export function uploadForm(source: string, settings: UploadSettings = {}): FormData {
  const metadata = {
    main_module: "index.js",
    compatibility_date: "2026-11-01",
    compatibility_flags: settings.flags ?? [],
    bindings: settings.bindings ?? [],
    limits: LIMITS,
  };
  const form = new FormData();
  form.set("metadata", JSON.stringify(metadata));
  const modules = { "index.js": source, "attempt.js": ATTEMPT, ...settings.modules };
  for (const [name, content] of Object.entries(modules)) {
    form.set(name, new File([content], name, { type: "application/javascript+module" }));
  }
  return form;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** Sends one request. Fails the test if the answer contains anything that is another's. */
export async function ask(
  stage: Stage,
  script: string,
  request: Outgoing & { readonly path?: string } = {},
): Promise<Answer> {
  const response = await stage.platform.fetchHost(
    stage.hostOf(script),
    request.path ?? "/",
    request,
  );
  const answer = {
    status: response.status,
    headers: response.headers,
    text: await response.text(),
  };
  expectNoSentinel(stage, `${[...answer.headers].join("\n")}\n${answer.text}`);
  return answer;
}

export function expectNoSentinel(stage: Stage, text: string): void {
  const found = stage.sentinels.filter(({ value }) => text.includes(value));
  expect(
    found.map(({ what }) => what),
    `it got these, in: ${text.slice(0, 2000)}`,
  ).toEqual([]);
}

/** What the function reports, without its control. */
export async function obtained(stage: Stage, script: string): Promise<Record<string, string>> {
  const { status, text } = await ask(stage, script, {
    path: "/probe",
    headers: { "x-targets": encodeURIComponent(JSON.stringify(stage.targets)) },
  });
  expect(status, text).toBe(200);
  return JSON.parse(text) as Record<string, string>;
}

/** The check of most probes. A function whose source has a `control` way must obtain that, and only that. */
export async function obtainsNothing(stage: Stage, script: string, source: string): Promise<void> {
  const { control, ...rest } = await obtained(stage, script);
  expect(rest).toEqual({});
  if (/\bcontrol\b/.test(source)) expect(control, "the probe itself does not work").toBeDefined();
}

/** That the function's failure is the function's: never an error of the platform, and no way to repeat it. */
export function expectException({ status, headers, text }: Answer): void {
  expect([status, headers.get("x-skep-error")], text).toEqual([500, "1101"]);
  expect(headers.get("retry-after")).toBeNull();
}
