import { fork, type ChildProcess } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  BEGINS,
  CPU_MS,
  ENDS,
  ENTRY_WORDS,
  HEADER_WORDS,
  LAST_BEGIN,
  ORDER,
  UNDER_WAY,
  uuidWords,
} from "../../protocol/ledger.ts";
import { findLedger, type LedgerReader } from "./ledger-reader.ts";

type Write = [index: number, value: number];

interface Owner {
  readonly child: ChildProcess;
  readonly ledger: LedgerReader;
  readonly write: (writes: Write[]) => Promise<void>;
}

const owner = fileURLToPath(new URL("fixtures/ledger-owner.js", import.meta.url));

async function startOwner(): Promise<Owner> {
  const key = randomBytes(32).toString("hex");
  const child = fork(owner);
  onTestFinished(() => void child.kill("SIGKILL"));
  const write = async (writes: Write[]) => {
    child.send({ key, writes });
    await once(child, "message");
  };
  await write([]);
  const ledger = await findLedger(child.pid ?? 0, key);
  if (ledger === undefined) throw new Error("no ledger");
  onTestFinished(() => ledger.close());
  return { child, ledger, write };
}

function entryWrites(
  index: number,
  versionId: string,
  values: Record<number, number> = {},
): Write[] {
  const at = HEADER_WORDS + ENTRY_WORDS * index;
  return [
    ...uuidWords(versionId).map((word, offset): Write => [at + offset, word]),
    ...Object.entries(values).map(([offset, value]): Write => [at + Number(offset), value]),
  ];
}

describe.runIf(process.platform === "linux")("a ledger in another process's memory", () => {
  test("is found by its key and read as it is at that moment", async () => {
    const { ledger, write } = await startOwner();
    expect(ledger.readEntries()).toEqual([]);
    const versionId = randomUUID();
    const lastBegin = Date.now() >>> 0;
    const values = {
      [UNDER_WAY]: 2,
      [LAST_BEGIN]: lastBegin | 0,
      [ORDER]: -5,
      [CPU_MS]: 50,
    };
    await write([[BEGINS, -5], [ENDS, 7], ...entryWrites(1, versionId, values)]);
    expect(ledger.readEntries()).toEqual([
      { versionId, underWay: 2, lastBegin, order: -5, cpuMs: 50 },
    ]);
    expect([ledger.begins, ledger.ends]).toEqual([-5, 7]);
  });

  test("takes note when an entry is given to another version", async () => {
    const { ledger, write } = await startOwner();
    const [first, second] = [randomUUID(), randomUUID()];
    await write(entryWrites(0, first));
    expect(ledger.readEntries()).toMatchObject([{ versionId: first }]);
    await write(entryWrites(0, second));
    expect(ledger.readEntries()).toMatchObject([{ versionId: second }]);
  });

  test("reads as many entries as are in use, to the last", async () => {
    const { ledger, write } = await startOwner();
    let written = 0;
    for (const count of [1, 32, 33, 500, 4096]) {
      const writes: Write[] = [];
      for (; written < count; written++) writes.push(...entryWrites(written, randomUUID()));
      await write(writes);
      expect(ledger.readEntries()).toHaveLength(count);
    }
  });

  test("stays as it was when the process is gone", async () => {
    const { child, ledger, write } = await startOwner();
    const versionId = randomUUID();
    await write(entryWrites(0, versionId));
    expect(ledger.readEntries()).toMatchObject([{ versionId }]);
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(ledger.readEntries()).toMatchObject([{ versionId }]);
  });

  test("is not found without its mark, nor in a process that is not there", async () => {
    const { child } = await startOwner();
    const pid = child.pid ?? 0;
    expect(await findLedger(pid, randomBytes(32).toString("hex"))).toBeUndefined();
    expect(await findLedger(pid, "short")).toBeUndefined();
    expect(await findLedger(2 ** 22 + 1, randomBytes(32).toString("hex"))).toBeUndefined();
  });
});
