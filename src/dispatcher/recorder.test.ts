import { describe, expect, it } from "vitest";
import type { Invocation, MetricsBatch } from "../protocol/telemetry.ts";
import { Recorder, type MetricsSink } from "./recorder.ts";
import { COLD } from "./test/batch.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** The first minute of an hour. */
const START = 1_700_000_000_000 - (1_700_000_000_000 % HOUR);

function invocation(more: Partial<Invocation> = {}): Invocation {
  return {
    versionId: "v1",
    kind: "fetch",
    isRetry: false,
    outcome: "ok",
    status: 200,
    wallMs: 4,
    ...more,
  };
}

/** Counts as FunctionMetrics does: a sequence that is not above the last one changes nothing. */
class Receiver implements MetricsSink {
  readonly delivered: { name: string; batch: MetricsBatch }[] = [];
  readonly requests = new Map<string, number>();
  readonly #sequences = new Map<string, number>();
  /** What happens to deliveries: stored, stored but the answer lost, or refused. */
  mode: "up" | "answer lost" | "down" = "up";

  getByName(name: string) {
    return {
      record: async (batch: MetricsBatch) => {
        this.delivered.push({ name, batch });
        if (this.mode !== "down") this.#store(name, batch);
        if (this.mode !== "up") throw new Error(this.mode);
      },
    };
  }

  #store(name: string, { source, sequence, deltas }: MetricsBatch): void {
    const key = `${name} ${source}`;
    if (sequence <= (this.#sequences.get(key) ?? 0)) return;
    this.#sequences.set(key, sequence);
    const added = deltas.reduce((sum, { wall }) => sum + wall.count, 0);
    this.requests.set(name, (this.requests.get(name) ?? 0) + added);
  }
}

describe("flush", () => {
  it("delivers one batch per function, with a delta per version and minute", async () => {
    const recorder = new Recorder();
    const receiver = new Receiver();
    recorder.add("ns", "a", invocation({ cold: COLD }), START);
    recorder.add("ns", "a", invocation({ status: 503 }), START + 59_999);
    recorder.add(
      "ns",
      "a",
      invocation({ versionId: "v2", outcome: "exception", status: 0 }),
      START,
    );
    recorder.add("ns", "a", invocation(), START + MINUTE);
    recorder.add("ns", "b", invocation({ status: 302 }), START);
    recorder.addBytes("ns", "a", "v2", "fetch", { request: 10, response: 2_000 }, START);
    expect(recorder.pendingFunctions).toBe(2);
    await recorder.flush(receiver, START + MINUTE);
    expect(recorder.pendingFunctions).toBe(0);
    expect(receiver.delivered.map(({ name }) => name)).toEqual(["ns/a", "ns/b"]);
    const deltas = receiver.delivered[0]?.batch.deltas ?? [];
    expect(deltas).toMatchObject([
      {
        minute: START,
        versionId: "v1",
        outcomes: { ok: 2 },
        statuses: { "2xx": 1, "5xx": 1 },
        coldStarts: 1,
        phases: { place: { count: 1 }, load: { sum: COLD.load } },
      },
      {
        minute: START,
        versionId: "v2",
        outcomes: { exception: 1 },
        statuses: { none: 1 },
        requestBytes: 10,
        responseBytes: 2_000,
      },
      { minute: START + MINUTE, versionId: "v1", outcomes: { ok: 1 } },
    ]);
  });

  it("delivers nothing twice", async () => {
    const recorder = new Recorder();
    const receiver = new Receiver();
    for (let index = 0; index < 5; index += 1) {
      recorder.add("ns", "a", invocation(), START + index);
      await recorder.flush(receiver, START + index);
      await recorder.flush(receiver, START + index);
    }
    expect(receiver.delivered.map(({ batch }) => batch.sequence)).toEqual([1, 2, 3, 4, 5]);
    expect(receiver.requests.get("ns/a")).toBe(5);
  });

  it("delivers bytes that become known after their invocation was delivered", async () => {
    const recorder = new Recorder();
    const receiver = new Receiver();
    recorder.add("ns", "a", invocation(), START);
    await recorder.flush(receiver, START);
    recorder.addBytes("ns", "a", "v1", "fetch", { request: 0, response: 77 }, START);
    await recorder.flush(receiver, START);
    expect(receiver.delivered[1]?.batch.deltas).toMatchObject([
      { responseBytes: 77, wall: { count: 0 } },
    ]);
  });

  it.each(["answer lost", "down"] as const)(
    "sends a batch again as it was, and counts it once, after: %s",
    async (mode) => {
      const recorder = new Recorder();
      const receiver = new Receiver();
      receiver.mode = mode;
      recorder.add("ns", "a", invocation(), START);
      await recorder.flush(receiver, START);
      recorder.add("ns", "a", invocation(), START);
      await recorder.flush(receiver, START + 250);
      const [first, second] = receiver.delivered;
      expect(second).toEqual(first);

      receiver.mode = "up";
      await recorder.flush(receiver, START + 500);
      expect(recorder.pendingFunctions).toBe(1);
      await recorder.flush(receiver, START + 750);
      expect(recorder.pendingFunctions).toBe(0);
      expect(receiver.requests.get("ns/a")).toBe(2);
    },
  );

  it("does not wait for one function with the others", async () => {
    const recorder = new Recorder();
    const receiver = new Receiver();
    const stuck = { record: () => new Promise<void>(() => {}) };
    const sink: MetricsSink = {
      getByName: (name) => (name === "ns/stuck" ? stuck : receiver.getByName(name)),
    };
    recorder.add("ns", "stuck", invocation(), START);
    recorder.add("ns", "a", invocation(), START);
    void recorder.flush(sink, START);
    recorder.add("ns", "a", invocation(), START);
    recorder.add("ns", "stuck", invocation(), START);
    await Promise.resolve();
    await recorder.flush(receiver, START + 250);
    expect(receiver.requests.get("ns/a")).toBe(2);
    expect(receiver.requests.get("ns/stuck")).toBe(undefined);
    // An answer that is due for too long is not waited for.
    await recorder.flush(receiver, START + 11_000);
    await recorder.flush(receiver, START + 11_250);
    expect(receiver.requests.get("ns/stuck")).toBe(2);
  });
});

describe("while the receiver is away", () => {
  it("merges minutes into hours when slots run out, without losing a count", async () => {
    const recorder = new Recorder({ maxSlots: 20 });
    const receiver = new Receiver();
    receiver.mode = "down";
    for (let minute = 0; minute < 180; minute += 1) {
      const now = START + minute * MINUTE;
      recorder.add("ns", "a", invocation(), now);
      recorder.add("ns", "b", invocation(), now);
      await recorder.flush(receiver, now);
    }
    expect(recorder.droppedRecords).toBe(0);
    receiver.mode = "up";
    await recorder.flush(receiver, START + 3 * HOUR);
    await recorder.flush(receiver, START + 3 * HOUR);
    expect(receiver.requests.get("ns/a")).toBe(180);
    expect(receiver.requests.get("ns/b")).toBe(180);
    const deltas = receiver.delivered.at(-1)?.batch.deltas ?? [];
    expect(deltas.length).toBeLessThan(20);
  });

  it("drops and counts what needs a slot that is not there, and recovers", async () => {
    const recorder = new Recorder({ maxSlots: 3 });
    const receiver = new Receiver();
    for (let index = 0; index < 5; index += 1) {
      recorder.add("ns", `function-${index}`, invocation(), START);
      recorder.add("ns", `function-${index}`, invocation(), START);
    }
    expect(recorder.droppedRecords).toBe(4);
    await recorder.flush(receiver, START + MINUTE);
    await recorder.flush(receiver, START + MINUTE);
    expect([...receiver.requests.values()]).toEqual([2, 2, 2]);
    recorder.add("ns", "function-4", invocation(), START + MINUTE);
    expect(recorder.droppedRecords).toBe(4);
  });
});

describe("schedule", () => {
  it("arms one timer however many requests there are, and a new one after it fired", async () => {
    const recorder = new Recorder({ flushIntervalMs: 5 });
    const receiver = new Receiver();
    const waits: Promise<unknown>[] = [];
    const ctx = { waitUntil: (promise: Promise<unknown>) => void waits.push(promise) };
    for (let index = 0; index < 50; index += 1) {
      recorder.add("ns", "a", invocation());
      recorder.schedule(ctx, receiver);
    }
    expect(waits.length).toBe(1);
    await waits[0];
    expect(receiver.requests.get("ns/a")).toBe(50);
    recorder.add("ns", "a", invocation());
    recorder.schedule(ctx, receiver);
    expect(waits.length).toBe(2);
    await waits[1];
    expect(receiver.requests.get("ns/a")).toBe(51);
  });

  it("repeats a failed delivery although no request follows", async () => {
    const recorder = new Recorder({ flushIntervalMs: 2 });
    const receiver = new Receiver();
    receiver.mode = "down";
    const waits: Promise<unknown>[] = [];
    recorder.add("ns", "a", invocation());
    recorder.schedule({ waitUntil: (promise) => void waits.push(promise) }, receiver);
    while (receiver.delivered.length < 3) await new Promise((resolve) => setTimeout(resolve, 1));
    receiver.mode = "up";
    await waits[0];
    expect(recorder.pendingFunctions).toBe(0);
    expect(receiver.requests.get("ns/a")).toBe(1);
    expect(waits.length).toBe(1);
  });

  it("arms again when the armed timer went away with its request", () => {
    const recorder = new Recorder({ flushIntervalMs: 250 });
    let armed = 0;
    const ctx = {
      waitUntil: () => {
        armed += 1;
      },
    };
    recorder.schedule(ctx, new Receiver(), START);
    recorder.schedule(ctx, new Receiver(), START + 4_999);
    expect(armed).toBe(1);
    recorder.schedule(ctx, new Receiver(), START + 5_000);
    expect(armed).toBe(2);
  });
});
