import { describe, expect, it } from "vitest";
import { sniffBoundary } from "./form.ts";

const sniff = (text: string) => sniffBoundary(new TextEncoder().encode(text));
const part = `content-disposition: form-data; name="a"\r\n\r\n1\r\n`;

describe("sniffBoundary", () => {
  it.each<[string, string, string | null]>([
    ["a form", `--x-1\r\n${part}--x-1--\r\n`, "x-1"],
    ["a form without a last line end", `--x-1\r\n${part}--x-1--`, "x-1"],
    ["a form that is cut off", `--x-1\r\n${part}`, null],
    ["a script", `addEventListener("fetch", () => {});`, null],
    ["a script that begins with --", `--x\r\nalert(x)`, null],
    ["an empty body", "", null],
  ])("of %s", (_what, body, boundary) => {
    expect(sniff(body)).toBe(boundary);
  });
});
