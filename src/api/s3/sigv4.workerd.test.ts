/** Against the examples that Amazon publishes with the specification (sig-v4-header-based-auth, sigv4-query-string-auth). */
import { describe, expect, it } from "vitest";
import {
  canonicalRequest,
  isSignature,
  signature,
  signingKey,
  stringToSign,
  UNSIGNED,
  type Signed,
} from "./sigv4.ts";

const SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const SCOPE = { date: "20130524", region: "us-east-1", service: "s3" };
const AT = "20130524T000000Z";
const EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const HOST = ["host", "examplebucket.s3.amazonaws.com"] as const;

async function sign(request: Omit<Signed, "method"> & { method?: string }): Promise<string> {
  const canonical = canonicalRequest({ method: "GET", ...request });
  return signature(await signingKey(SECRET, SCOPE), await stringToSign(AT, SCOPE, canonical));
}

describe("the examples of the specification:", () => {
  it("GET of an object with a range", async () => {
    const headers = [
      HOST,
      ["range", "bytes=0-9"],
      ["x-amz-content-sha256", EMPTY],
      ["x-amz-date", AT],
    ] as const;
    expect(await sign({ path: "/test.txt", query: "", headers, payloadHash: EMPTY })).toBe(
      "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    );
  });

  it("PUT of an object whose key has to be encoded", async () => {
    const payloadHash = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
    const headers = [
      ["date", "Fri, 24 May 2013 00:00:00 GMT"],
      HOST,
      ["x-amz-content-sha256", payloadHash],
      ["x-amz-date", AT],
      ["x-amz-storage-class", "REDUCED_REDUNDANCY"],
    ] as const;
    const path = "/test%24file.text";
    expect(await sign({ method: "PUT", path, query: "", headers, payloadHash })).toBe(
      "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    );
  });

  const plain = [HOST, ["x-amz-content-sha256", EMPTY], ["x-amz-date", AT]] as const;

  it("GET of a bucket's lifecycle", async () => {
    expect(await sign({ path: "/", query: "lifecycle", headers: plain, payloadHash: EMPTY })).toBe(
      "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    );
  });

  it("a list of objects", async () => {
    const query = "max-keys=2&prefix=J";
    expect(await sign({ path: "/", query, headers: plain, payloadHash: EMPTY })).toBe(
      "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    );
  });

  it("a presigned URL", async () => {
    const query = [
      "X-Amz-Algorithm=AWS4-HMAC-SHA256",
      "X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request",
      "X-Amz-Date=20130524T000000Z",
      "X-Amz-Expires=86400",
      "X-Amz-SignedHeaders=host",
      "X-Amz-Signature=whatever",
    ].join("&");
    expect(await sign({ path: "/test.txt", query, headers: [HOST], payloadHash: UNSIGNED })).toBe(
      "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
    );
  });

  it("the pieces of a body", async () => {
    const key = await signingKey(SECRET, SCOPE);
    const piece = (previous: string, hash: string) =>
      [
        "AWS4-HMAC-SHA256-PAYLOAD",
        AT,
        "20130524/us-east-1/s3/aws4_request",
        previous,
        EMPTY,
        hash,
      ].join("\n");
    const seed = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
    const first = "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648";
    const hash = "bf718b6f653bebc184e1479f1935b8da974d701b893afcf49e701f3e2f9f9c5a";
    expect(await isSignature(key, piece(seed, hash), first)).toBe(true);
    expect(await isSignature(key, piece(first, hash), first)).toBe(false);
  });
});

it("names and values of a query are sorted and encoded once", () => {
  const canonical = canonicalRequest({
    method: "GET",
    path: "/a%20b/c+d/~(e)",
    query: "b=2&a=x%2fy&b=1&flag&z=%E2%9C%93",
    headers: [["host", " spaced   out "]],
    payloadHash: UNSIGNED,
  });
  expect(canonical.split("\n").slice(1, 4)).toEqual([
    "/a%20b/c%2Bd/~%28e%29",
    "a=x%2Fy&b=1&b=2&flag=&z=%E2%9C%93",
    "host:spaced out",
  ]);
});
