import { expect, test } from "vitest";
import type { AssetFile } from "../../protocol/assets.ts";
import { find } from "./find.ts";

const file: AssetFile = { hash: "a", blob: "b", size: 1, contentType: null };
const handling = { html: "none", notFound: "404-page" };

/** Counts what is looked up. */
class Files extends Map<string, AssetFile> {
  asked = 0;
  override get(path: string): AssetFile | undefined {
    this.asked++;
    return super.get(path);
  }
}

test("the nearest 404 page is found", () => {
  const files = new Files([
    ["/404.html", file],
    ["/a/b/404.html", { ...file, hash: "near" }],
  ]);
  expect(find(files, handling, "/a/b/c/d")).toMatchObject({ status: 404, file: { hash: "near" } });
  expect(find(files, handling, "/a/c")).toMatchObject({ file: { hash: "a" } });
});

test("a path of many folders costs no more than the deepest asset may", () => {
  const files = new Files([["/404.html", file]]);
  expect(find(files, handling, "/a".repeat(50_000))).toMatchObject({ file: { hash: "a" } });
  expect(files.asked).toBeLessThan(2_000);
});
