/**
 * Which asset a path leads to, or where to it redirects: Cloudflare's `html_handling` and `not_found_handling`.
 * Pure; paths are decoded.
 */
import { MAX_PATH_LENGTH, type AssetFile } from "../../protocol/assets.ts";

export type Found =
  | { readonly kind: "file"; readonly file: AssetFile; readonly status: 200 | 404 }
  | { readonly kind: "redirect"; readonly path: string };

export interface Handling {
  readonly html: string;
  readonly notFound: string;
}

export type Files = ReadonlyMap<string, AssetFile>;

/** One thing to try: the file at a path, or a redirect to the path under which that file is to be known. */
type Step = { readonly serve: string } | { readonly serve: string; readonly as: string };

export function find(files: Files, { html, notFound }: Handling, path: string): Found | undefined {
  for (const step of stepsOf(html, path)) {
    const file = files.get(step.serve);
    if (file === undefined) continue;
    if (!("as" in step)) return { kind: "file", file, status: 200 };
    if (leadsTo(files, { html, notFound }, step.as, file))
      return { kind: "redirect", path: step.as };
  }
  return missing(files, notFound, path);
}

/** Whether the new path is free, and answered with that very file. */
function leadsTo(files: Files, { html, notFound }: Handling, path: string, file: AssetFile) {
  if (files.has(path)) return false;
  const steps = stepsOf(html, path).filter((step) => !("as" in step));
  const step = steps.find(({ serve }) => files.has(serve));
  const found = step && files.get(step.serve);
  if (found !== undefined) return found.hash === file.hash;
  const instead = missing(files, notFound, path);
  return instead?.kind === "file" && instead.file.hash === file.hash;
}

function missing(files: Files, notFound: string, path: string): Found | undefined {
  if (notFound === "single-page-application") {
    const file = files.get("/index.html");
    return file && { kind: "file", file, status: 200 };
  }
  if (notFound !== "404-page") return undefined;
  // The one nearest to the path. No asset lies deeper.
  for (let folder = path.slice(0, MAX_PATH_LENGTH); folder !== "";) {
    folder = folder.slice(0, Math.max(0, folder.lastIndexOf("/")));
    const file = files.get(`${folder}/404.html`);
    if (file !== undefined) return { kind: "file", file, status: 404 };
  }
  return undefined;
}

function stepsOf(html: string, path: string): Step[] {
  switch (html) {
    case "auto-trailing-slash":
      return autoTrailingSlash(path);
    case "force-trailing-slash":
      return forceTrailingSlash(path);
    case "drop-trailing-slash":
      return dropTrailingSlash(path);
    default:
      return [{ serve: path }];
  }
}

function autoTrailingSlash(path: string): Step[] {
  const rest = [
    { serve: path },
    { serve: `${path}.html` },
    { serve: `${path}/index.html`, as: `${path}/` },
  ];
  if (path.endsWith("/index")) {
    const page = path.slice(0, -"/index".length);
    const folder = `${page}/`;
    return [
      { serve: path },
      { serve: `${path}.html`, as: folder },
      { serve: `${page}.html`, as: page },
      ...rest,
    ];
  }
  if (path.endsWith("/index.html")) {
    const page = path.slice(0, -"/index.html".length);
    return [{ serve: path, as: `${page}/` }, { serve: `${page}.html`, as: page }, ...rest];
  }
  if (path.endsWith("/")) {
    const page = path.slice(0, -1);
    return [{ serve: `${path}index.html` }, { serve: `${page}.html`, as: page }, ...rest];
  }
  if (path.endsWith(".html")) {
    const page = path.slice(0, -".html".length);
    return [{ serve: path, as: page }, { serve: `${page}/index.html`, as: `${page}/` }, ...rest];
  }
  return rest;
}

function forceTrailingSlash(path: string): Step[] {
  const rest = [
    { serve: path },
    { serve: `${path}.html`, as: `${path}/` },
    { serve: `${path}/index.html`, as: `${path}/` },
  ];
  if (path.endsWith("/index")) {
    const page = path.slice(0, -"/index".length);
    const folder = `${page}/`;
    return [
      { serve: path },
      { serve: `${path}.html`, as: folder },
      { serve: `${page}.html`, as: folder },
      ...rest,
    ];
  }
  if (path.endsWith("/index.html")) {
    const page = path.slice(0, -"/index.html".length);
    const folder = `${page}/`;
    return [{ serve: path, as: folder }, { serve: `${page}.html`, as: folder }, ...rest];
  }
  if (path.endsWith("/")) {
    return [{ serve: `${path}index.html` }, { serve: `${path.slice(0, -1)}.html` }, ...rest];
  }
  if (path.endsWith(".html")) {
    const folder = `${path.slice(0, -".html".length)}/`;
    return [
      { serve: path, as: folder },
      { serve: path },
      { serve: `${folder}index.html`, as: folder },
      ...rest,
    ];
  }
  return rest;
}

function dropTrailingSlash(path: string): Step[] {
  const rest = [{ serve: path }, { serve: `${path}.html` }, { serve: `${path}/index.html` }];
  if (path === "/index") return [{ serve: path }, { serve: "/index.html", as: "/" }, ...rest];
  if (path === "/index.html") return [{ serve: path, as: "/" }, ...rest];
  if (path === "/") return [{ serve: "/index.html" }, ...rest];
  if (path.endsWith("/index")) {
    const page = path.slice(0, -"/index".length);
    return [
      { serve: path },
      { serve: `${page}.html`, as: page },
      { serve: `${path}.html`, as: page },
      ...rest,
    ];
  }
  if (path.endsWith("/index.html")) {
    const page = path.slice(0, -"/index.html".length);
    return [
      { serve: path, as: page },
      { serve: path },
      { serve: `${page}.html`, as: page },
      ...rest,
    ];
  }
  if (path.endsWith("/")) {
    const page = path.slice(0, -1);
    return [
      { serve: `${page}.html`, as: page },
      { serve: `${page}/index.html`, as: page },
      ...rest,
    ];
  }
  if (path.endsWith(".html")) {
    const page = path.slice(0, -".html".length);
    return [{ serve: path, as: page }, { serve: `${page}/index.html`, as: page }, ...rest];
  }
  return rest;
}
