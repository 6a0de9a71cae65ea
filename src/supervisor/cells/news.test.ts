import { expect, test } from "vitest";
import type { CellNews, Incident } from "../../protocol/incident.ts";
import type { WorkerdProcess } from "../workerd-process.ts";
import { CellNewsPost } from "./news.ts";

/** What the post needs to know of an edge; `answer` is asked what becomes of each message. */
class Edge {
  readonly got: CellNews[] = [];
  readyAt: number | undefined = 1;
  exit: object | undefined;
  draining = false;
  exited: Promise<void>;
  end = () => {};

  constructor() {
    this.exited = new Promise((resolve) => {
      this.end = () => {
        this.exit = {};
        resolve();
      };
    });
  }

  get process(): WorkerdProcess {
    return this as unknown as WorkerdProcess;
  }
}

function postTo(
  edges: Edge[],
  lives: () => (number | null)[],
  arrive: () => Promise<void> = async () => {},
) {
  return new CellNewsPost({
    lives,
    edges: () => edges.map(({ process }) => process),
    post: async (process, body) => {
      await arrive();
      (process as unknown as Edge).got.push(JSON.parse(body) as CellNews);
    },
    log: () => {},
  });
}

const incident = (life: number) => ({ kind: "cpu", life }) as Incident;

test("tells one thing after the other, and each incident, when things happen faster than they are told", async () => {
  const edge = new Edge();
  const gates: (() => void)[] = [];
  let life = 1;
  const post = postTo(
    [edge],
    () => [life],
    () => new Promise((resolve) => gates.push(resolve)),
  );
  const told = [post.tell(incident(1))];
  life = 2;
  told.push(post.tell(), post.tell(incident(2)));
  life = 3;
  told.push(post.tell(incident(3)));
  let isAllTold = false;
  const all = Promise.all(told).then(() => (isAllTold = true));
  for (let count = 1; count <= 3; count++) {
    expect(gates).toHaveLength(count);
    expect(isAllTold).toBe(false);
    gates.at(-1)?.();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await all;
  expect(edge.got).toEqual([
    { lives: [1], incident: incident(1) },
    { lives: [3], incident: incident(2) },
    { lives: [3], incident: incident(3) },
  ]);
});

test("tells edges that serve; others learn it when they become ready", async () => {
  const [serving, starting, draining] = [new Edge(), new Edge(), new Edge()];
  starting.readyAt = undefined;
  draining.draining = true;
  const post = postTo([serving, starting, draining], () => [1, null]);
  await post.tell();
  expect([serving, starting, draining].map(({ got }) => got)).toEqual([
    [{ lives: [1, null] }],
    [],
    [],
  ]);
  post.greet(starting.process);
  await post.tell();
  expect(starting.got).toEqual([{ lives: [1, null] }]);
});

test("tries again, and waits for no edge that is gone", async () => {
  const edges = [new Edge(), new Edge()];
  let failures = 2;
  const post = postTo(
    edges,
    () => [7],
    async () => {
      if (failures-- > 0) throw new Error("ECONNREFUSED");
    },
  );
  const told = post.tell(incident(7));
  edges[1]?.end();
  await told;
  expect(edges.map(({ got }) => got)).toEqual([[{ lives: [7], incident: incident(7) }], []]);
});
