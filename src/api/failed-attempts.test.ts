import { expect, test } from "vitest";
import { FailedAttempts } from "./failed-attempts.ts";

const burst = (attempts: FailedAttempts, address: string, count: number, nowMs = 0) =>
  Array.from({ length: count }, () => attempts.take(address, nowMs));

test("a few wrong tokens are nothing; a flood is told when to come back", () => {
  const attempts = new FailedAttempts();
  expect(burst(attempts, "192.0.2.1", 30)).toEqual(Array(30).fill(0));
  expect(attempts.take("192.0.2.1", 0)).toBe(2);
  expect(attempts.take("192.0.2.1", 1_500)).toBe(1);
});

test("asking too early does not put it off", () => {
  const attempts = new FailedAttempts();
  burst(attempts, "192.0.2.1", 100);
  burst(attempts, "192.0.2.1", 100, 1_999);
  expect(attempts.take("192.0.2.1", 2_000)).toBe(0);
});

test("addresses do not pay for each other, the addresses of one IPv6 network do", () => {
  const attempts = new FailedAttempts();
  burst(attempts, "2001:db8::1", 30);
  expect(attempts.take("2001:db8:0:0:ffff::2", 0)).toBe(2);
  expect(attempts.take("2001:db8:0:1::1", 0)).toBe(0);
  expect(attempts.take("192.0.2.2", 0)).toBe(0);
});

test("what it remembers is bounded", () => {
  const attempts = new FailedAttempts();
  burst(attempts, "first", 31);
  for (let n = 0; n < 10_000; n++) attempts.take(`address ${n}`, 0);
  expect(attempts.take("first", 0)).toBe(0);
});
