/** Deploys sites to a platform as a client of the API would that is not wrangler: a session, the contents, the script. */
import type { Platform } from "./platform.ts";

export interface Site {
  /** By path. `_redirects` and `_headers` belong into `config`. */
  readonly files: Readonly<Record<string, string | Uint8Array>>;
  readonly config?: object;
  /** Source of the Worker; left out: there are only assets. */
  readonly worker?: string;
  /** Added to the metadata. */
  readonly metadata?: object;
}

const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  txt: "text/plain; charset=utf-8",
  css: "text/css; charset=utf-8",
  json: "application/json",
  png: "image/png",
};

export const SCRIPTS = "/workers/dispatch/namespaces/production/scripts";

export async function deploySite(
  platform: Platform,
  name: string,
  site: Site,
  namespace = "production",
): Promise<void> {
  const jwt = await uploadFiles(platform, name, site.files, namespace);
  const path = `/workers/dispatch/namespaces/${namespace}/scripts/${name}`;
  const response = await platform.api("PUT", path, siteForm(site, { jwt }));
  if (!response.ok) throw new Error(`${name} was not deployed: ${await response.text()}`);
}

function siteForm({ config, worker, metadata }: Site, assets: { jwt?: string }): FormData {
  const form = new FormData();
  const all = {
    compatibility_date: "2026-11-01",
    ...(worker !== undefined && { main_module: "index.js" }),
    assets: { ...assets, ...(config && { config }) },
    ...metadata,
  };
  form.set("metadata", JSON.stringify(all));
  if (worker !== undefined) {
    const type = "application/javascript+module";
    form.set("index.js", new File([worker], "index.js", { type }));
  }
  return form;
}

/** Returns the completion token. */
async function uploadFiles(
  platform: Platform,
  name: string,
  files: Site["files"],
  namespace = "production",
): Promise<string> {
  const entries = await Promise.all(
    Object.entries(files).map(async ([path, content]) => {
      const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
      return { path, bytes, hash: await hashOf(path, bytes) };
    }),
  );
  const manifest = Object.fromEntries(
    entries.map(({ path, bytes, hash }) => [path, { hash, size: bytes.byteLength }]),
  );
  const path = `/workers/dispatch/namespaces/${namespace}/scripts/${name}/assets-upload-session`;
  const opened = await platform.api("POST", path, { manifest });
  const session = await resultOf(opened);
  let { jwt } = session;
  for (const bucket of session.buckets ?? []) {
    const form = new FormData();
    for (const hash of bucket) {
      const { path, bytes } = entries.find((entry) => entry.hash === hash) ?? entries[0]!;
      const type = TYPES[path.split(".").at(-1) ?? ""] ?? "application/null";
      form.set(hash, new File([Buffer.from(bytes).toString("base64")], hash, { type }));
    }
    const sent = await sendAssets(platform, session.jwt, "?base64=true", form);
    jwt = (await resultOf(sent)).jwt ?? jwt;
  }
  return jwt;
}

/** With the token of a session. `path`: what follows `/workers/assets/upload`. */
export function sendAssets(
  platform: Platform,
  jwt: string,
  path: string,
  body: FormData | Uint8Array<ArrayBuffer>,
): Promise<Response> {
  const { CLOUDFLARE_API_BASE_URL: base, CLOUDFLARE_ACCOUNT_ID: account } = platform.wranglerEnv;
  return fetch(`${base}/accounts/${account}/workers/assets/upload${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${jwt}` },
    body,
  });
}

export async function resultOf(
  response: Response,
): Promise<{ readonly jwt: string; readonly buckets?: string[][] }> {
  const { success, errors, result } = (await response.json()) as {
    success: boolean;
    errors: unknown;
    result: { jwt: string; buckets?: string[][] };
  };
  if (!success) throw new Error(`refused with ${response.status}: ${JSON.stringify(errors)}`);
  return result;
}

/** Any hash will do: the platform takes it for a name. */
export async function hashOf(path: string, bytes: Uint8Array): Promise<string> {
  const text = new TextEncoder().encode(`${path.split(".").at(-1)}\n`);
  const digest = await crypto.subtle.digest("SHA-256", Buffer.concat([text, bytes]));
  return Buffer.from(digest).toString("hex").slice(0, 32);
}
