/** Paths as they are matched: doubled and trailing slashes, which base URLs tend to leave, are dropped. */
export function normalizePath(url: string): string {
  const path = url.slice(url.indexOf("/", url.indexOf("//") + 2)).split(/[?#]/, 1)[0] ?? "/";
  return path.replace(/\/{2,}/g, "/").replace(/(.)\/$/, "$1");
}
