import { describe, expect, test } from "vitest";
import type { TraceEvent } from "../protocol/trace.ts";
import { TailReader } from "./tail-reader.ts";

const MIB = 1024 * 1024;
const EVENT = { outcome: "ok", logs: [], event: null } as unknown as TraceEvent;

function reading() {
  const sent: string[] = [];
  const closed: number[] = [];
  const socket = {
    bufferedAmount: 0,
    send: (text: string) => void sent.push(text),
    close: (code: number) => void closed.push(code),
  };
  const reader = new TailReader("id", socket as unknown as WebSocket, [], 0);
  const take = (nowMs: number, dropped = 0) => reader.take([EVENT], ["event"], dropped, nowMs);
  const kinds = () =>
    sent.map((text) => {
      if (text === "event") return text;
      return (JSON.parse(text) as { event: { type: string } }).event.type;
    });
  return { socket, reader, take, kinds, sent, closed };
}

describe("a reader", () => {
  test("that is behind misses events, and is told", () => {
    const { socket, take, kinds, sent } = reading();
    take(1);
    socket.bufferedAmount = 5 * MIB;
    take(2);
    take(3);
    socket.bufferedAmount = 2 * MIB;
    take(4);
    socket.bufferedAmount = MIB;
    take(5);
    expect(kinds()).toEqual(["event", "overload", "overload-stop", "event"]);
    expect(sent[2]).toContain("3 events were dropped");
  });

  test("is told of what was lost before", () => {
    const { take, kinds, sent } = reading();
    take(1, 17);
    expect(kinds()).toEqual(["overload", "event"]);
    expect(sent[0]).toContain("17 events");
  });

  test("that takes nothing is not alive for long", () => {
    const { socket, reader } = reading();
    socket.bufferedAmount = 100;
    expect(reader.isAlive(29_000)).toBe(true);
    expect(reader.isAlive(31_000)).toBe(false);
    socket.bufferedAmount = 50;
    expect(reader.isAlive(32_000)).toBe(true);
    socket.bufferedAmount = 0;
    expect(reader.isAlive(1_000_000)).toBe(true);
  });
});
