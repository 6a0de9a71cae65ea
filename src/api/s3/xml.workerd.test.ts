import { describe, expect, it } from "vitest";
import { S3Error } from "./s3-error.ts";
import { element, parseXml, result, texts } from "./xml.ts";

describe("what is read", () => {
  it("has elements with texts, without declarations, comments, prefixes and attributes", () => {
    const root = parseXml(`<?xml version="1.0"?><!-- x -->
      <s3:Delete xmlns:s3="urn:x"><Object a="1"><Key>a&amp;b&#x20;&#8226;</Key></Object><Quiet/></s3:Delete>`);
    expect(root.name).toBe("Delete");
    expect(root.children.map(({ name }) => name)).toEqual(["Object", "Quiet"]);
    expect(texts(root.children[0]!, "Key")).toEqual(["a&b •"]);
  });

  it.each([
    "",
    "text",
    "<a>",
    "<a></b>",
    "<a/><b/>",
    "<a>&unknown;</a>",
    "<a",
    "</a>",
    "<a>&#x110000;</a>",
  ])("%j is refused", (source) => {
    expect(() => parseXml(source)).toThrow(S3Error);
  });
});

it("what has no end is refused at once, however long it is", () => {
  // Else this takes hours.
  expect(() => parseXml(`<${"a".repeat(2 ** 21)}`)).toThrow(S3Error);
});

it("what is written is escaped", () => {
  const text = result("List", [element("Key", `<a&"\u0001\n`), null, element("Size", 3)]);
  expect(text).toContain("<Key>&lt;a&amp;&quot;?&#10;</Key><Size>3</Size></List>");
});
