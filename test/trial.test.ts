/** Versions that must not go live, tried by the real platform while others deploy. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { startPlatform, type Platform } from "./platform.ts";

let platform: Platform;

beforeAll(async () => {
  platform = await startPlatform();
});

afterAll(async () => {
  await platform.stop();
});

async function errorOf(deploy: Promise<void>): Promise<string> {
  return deploy.then(
    () => "deployed",
    (error: unknown) => String(error),
  );
}

test("a top-level loop is refused, and takes no deploy of a neighbour with it", async () => {
  const hello = (name: string) => `export default { fetch: () => new Response("${name}") };`;
  await platform.deploy("spinner", hello("before"));
  const neighbours = ["first", "second", "third", "fourth"];
  const [refusal] = await Promise.all([
    errorOf(platform.deploy("spinner", `for (;;) {}\n${hello("after")}`)),
    ...neighbours.map((name) => platform.deploy(name, hello(name))),
  ]);
  expect(refusal).toContain("Script startup exceeded CPU time limit");
  expect(refusal).toContain("10021");
  for (const name of neighbours) expect(await (await platform.fetch(name, "/")).text()).toBe(name);
  expect(await (await platform.fetch("spinner", "/")).text()).toBe("before");
});

test("code that ends the process of its trial is refused", async () => {
  const hog = `const kept = []; for (;;) kept.push(new Array(1e6).fill(Math.random()));
    export default { fetch() {} };`;
  expect(await errorOf(platform.deploy("hog", hog))).toContain("10021");
  await platform.deploy("after", `export default { fetch: () => new Response("fine") };`);
  expect(await (await platform.fetch("after", "/")).text()).toBe("fine");
});
