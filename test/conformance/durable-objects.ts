/**
 * Durable Objects as whoever calls them sees them: ids, stubs, fetch, RPC, WebSockets. What an object sees of itself is in
 * durable-object-storage.ts.
 */
import { outcome } from "./cases.ts";
import type { Bare, Thing } from "./durable-object-classes.ts";

export interface ObjectsEnv {
  readonly THINGS: DurableObjectNamespace<Thing>;
  /** Objects of a class that has no handlers. */
  readonly BARE: DurableObjectNamespace<Bare>;
}

export type ObjectCases = Readonly<Record<string, (env: ObjectsEnv) => unknown>>;

const HEX = /^[0-9a-f]{64}$/;

/** Ids are others on each platform. */
const shape = (id: DurableObjectId) => ({
  isHex: HEX.test(String(id)),
  name: id.name,
  keys: Object.keys(id),
});

const flags = (error: unknown) => {
  const { remote, retryable, overloaded } = error as Record<string, unknown>;
  return { remote, retryable, overloaded };
};

async function thrown(attempt: () => unknown): Promise<unknown> {
  try {
    return { returned: await attempt() };
  } catch (error) {
    return { error, flags: error instanceof Error ? flags(error) : undefined };
  }
}

const ids: ObjectCases = {
  "an id from a name": ({ THINGS }) => shape(THINGS.idFromName("a")),
  "an id from a name is the same each time": ({ THINGS }) =>
    THINGS.idFromName("a").equals(THINGS.idFromName("a")),
  "ids from other names are others": ({ THINGS }) =>
    THINGS.idFromName("a").equals(THINGS.idFromName("b")),
  "ids of one name in two classes differ": ({ THINGS, BARE }) =>
    THINGS.idFromName("a").equals(BARE.idFromName("a") as never),
  "an id from the empty name": ({ THINGS }) => shape(THINGS.idFromName("")),
  "an id from a long name": ({ THINGS }) => THINGS.idFromName("x".repeat(5000)).name?.length,
  "an id from a name beyond ASCII": ({ THINGS }) => [
    shape(THINGS.idFromName("käse 🧀")),
    THINGS.idFromName("käse").equals(THINGS.idFromName("ka\u0308se")),
  ],
  "an id from what is no string": ({ THINGS }) => [
    shape(THINGS.idFromName(7 as never)),
    THINGS.idFromName(7 as never).equals(THINGS.idFromName("7")),
    shape(THINGS.idFromName(null as never)),
    shape(THINGS.idFromName(undefined as never)),
  ],
  "an id from no name at all": ({ THINGS }) =>
    outcome(() => (THINGS.idFromName as () => DurableObjectId).call(THINGS)),
  "a unique id": ({ THINGS }) => shape(THINGS.newUniqueId()),
  "unique ids differ": ({ THINGS }) => THINGS.newUniqueId().equals(THINGS.newUniqueId()),
  "a unique id in a jurisdiction": ({ THINGS }) =>
    outcome(() => THINGS.newUniqueId({ jurisdiction: "eu" })),
  "a namespace of a jurisdiction": ({ THINGS }) => outcome(() => THINGS.jurisdiction("eu")),
  "an id from a string": ({ THINGS }) => {
    const id = THINGS.idFromName("a");
    const again = THINGS.idFromString(id.toString());
    return [shape(again), again.equals(id), String(again) === String(id)];
  },
  "a unique id from a string": ({ THINGS }) => {
    const id = THINGS.newUniqueId();
    return THINGS.idFromString(String(id)).equals(id);
  },
  "an id from a string in upper case": ({ THINGS }) => {
    const id = THINGS.idFromName("a");
    return THINGS.idFromString(String(id).toUpperCase()).equals(id);
  },
  "an id from a string that is too short": ({ THINGS }) =>
    outcome(() => THINGS.idFromString("abc")),
  "an id from the empty string": ({ THINGS }) => outcome(() => THINGS.idFromString("")),
  "an id from 64 characters that are no hex digits": ({ THINGS }) =>
    outcome(() => THINGS.idFromString("z".repeat(64))),
  "an id from 64 digits of nothing": ({ THINGS }) =>
    outcome(() => THINGS.idFromString("0".repeat(64))),
  "an id from the string of another class": ({ THINGS, BARE }) =>
    outcome(() => THINGS.idFromString(String(BARE.idFromName("a")))),
  "an id equals only ids": ({ THINGS }) =>
    outcome(() => THINGS.idFromName("a").equals("a" as never)),
};

const stubs: ObjectCases = {
  "a stub by name": ({ THINGS }) => {
    const stub = THINGS.getByName("a");
    return [stub.name, stub.id.name, stub.id.equals(THINGS.idFromName("a"))];
  },
  "a stub by id": ({ THINGS }) => {
    const id = THINGS.newUniqueId();
    const stub = THINGS.get(id);
    return [stub.id.equals(id), stub.name, stub.id.name];
  },
  "a stub with a location hint": async ({ THINGS }) =>
    THINGS.get(THINGS.idFromName("hinted"), { locationHint: "weur" }).add(1, 2),
  "a stub with an unknown way": ({ THINGS }) =>
    outcome(() => {
      THINGS.get(THINGS.idFromName("a"), { routingMode: "nowhere" } as never);
    }),
  "a stub of a string": ({ THINGS }) =>
    outcome(() => {
      THINGS.get("a" as never);
    }),
  "a stub of nothing": ({ THINGS }) =>
    outcome(() => {
      THINGS.get(undefined as never);
    }),
  "a stub is no thenable": async ({ THINGS }) => {
    const stub = await Promise.resolve(THINGS.getByName("a"));
    return stub.name;
  },
};

const fetches: ObjectCases = {
  "what an object gets of a GET": async ({ THINGS }) => {
    const headers = { "x-one": "1", "X-Two": "2" };
    const response = await THINGS.getByName("f").fetch("http://host.example/seen?q=1#h", {
      headers,
    });
    return [response.status, await response.json()];
  },
  "what an object gets of a POST": async ({ THINGS }) => {
    const init = { method: "POST", body: "text", headers: { "content-type": "text/plain" } };
    return (await THINGS.getByName("f").fetch("https://host.example:8443/seen", init)).json();
  },
  "other methods": async ({ THINGS }) => {
    const seen: unknown[] = [];
    for (const method of ["PUT", "PATCH", "DELETE", "OPTIONS"]) {
      const response = await THINGS.getByName("f").fetch("http://o/seen", { method });
      const { method: found, hasBody } = (await response.json()) as Record<string, unknown>;
      seen.push([found, hasBody]);
    }
    return seen;
  },
  "a HEAD": async ({ THINGS }) => {
    const response = await THINGS.getByName("f").fetch("http://o/text", { method: "HEAD" });
    return [response.status, await response.text(), response.headers.get("x-answer")];
  },
  "a Request": async ({ THINGS }) =>
    (
      await THINGS.getByName("f").fetch(new Request("http://o/seen", { method: "PUT", body: "b" }))
    ).json(),
  "a Request with another init": async ({ THINGS }) => {
    const request = new Request("http://o/seen", { headers: { "x-one": "1" } });
    return (await THINGS.getByName("f").fetch(request, { headers: { "x-two": "2" } })).json();
  },
  "a body of bytes": async ({ THINGS }) => {
    const body = Uint8Array.from({ length: 256 }, (_, index) => index);
    const response = await THINGS.getByName("f").fetch("http://o/echo", { method: "POST", body });
    return response.arrayBuffer();
  },
  "a large body that streams": async ({ THINGS }) => {
    const chunk = new Uint8Array(64 * 1024).fill(7);
    let left = 32;
    const body = new ReadableStream({
      pull(controller) {
        if (left-- > 0) controller.enqueue(chunk);
        else controller.close();
      },
    });
    const response = await THINGS.getByName("f").fetch("http://o/count", { method: "POST", body });
    return response.text();
  },
  "a large answer": async ({ THINGS }) => {
    const response = await THINGS.getByName("f").fetch("http://o/large");
    return (await response.arrayBuffer()).byteLength;
  },
  "a status, its text and headers": async ({ THINGS }) => {
    const response = await THINGS.getByName("f").fetch("http://o/status");
    const { status, statusText, headers } = response;
    return [
      status,
      statusText,
      headers.get("x-answer"),
      headers.getSetCookie(),
      await response.text(),
    ];
  },
  "an answer without a body": async ({ THINGS }) => {
    const response = await THINGS.getByName("f").fetch("http://o/empty");
    return [response.status, response.body === null, await response.text()];
  },
  "a redirect that is followed": async ({ THINGS }) => {
    const response = await THINGS.getByName("f").fetch("http://o/redirect");
    return [response.status, response.redirected, ((await response.json()) as { url: string }).url];
  },
  "a redirect that is not": async ({ THINGS }) => {
    const response = await THINGS.getByName("f").fetch("http://o/redirect", { redirect: "manual" });
    return [response.status, response.headers.get("location")];
  },
  "an error that fetch throws": ({ THINGS }) =>
    thrown(() => THINGS.getByName("f").fetch("http://o/throw")),
  "a TypeError that fetch throws": ({ THINGS }) =>
    thrown(() => THINGS.getByName("f").fetch("http://o/throw-type")),
  "a request that was aborted before": ({ THINGS }) =>
    outcome(() => THINGS.getByName("f").fetch("http://o/seen", { signal: AbortSignal.abort() })),
  "a body that was used": ({ THINGS }) =>
    outcome(async () => {
      const request = new Request("http://o/seen", { method: "POST", body: "x" });
      await request.text();
      await THINGS.getByName("f").fetch(request);
    }),
  "a class without a fetch handler": ({ BARE }) =>
    thrown(() => BARE.getByName("f").fetch("http://o/")),
};

const rpc: ObjectCases = {
  "a method": ({ THINGS }) => THINGS.getByName("r").add(1, 2),
  "a method that waits": ({ THINGS }) => THINGS.getByName("r").later("x"),
  "a method without result": ({ THINGS }) => THINGS.getByName("r").nothing(),
  "arguments and results of all kinds of data": ({ THINGS }) =>
    THINGS.getByName("r").same([
      null,
      undefined,
      true,
      -0,
      1.5,
      Number.NaN,
      2n ** 70n,
      "käse",
      "",
      new Date(7),
      [1, [2]],
      { a: { b: 1 } },
      new Map<unknown, unknown>([["k", { v: 1 }]]),
      new Set([1, "2"]),
      new Uint8Array([1, 2, 3]),
      new Float64Array([1.5]),
      new ArrayBuffer(2),
      /a+/gi,
    ]),
  "an error as data": ({ THINGS }) => THINGS.getByName("r").same(new RangeError("far")),
  "many arguments": ({ THINGS }) =>
    THINGS.getByName("r").count(...Array.from({ length: 50 }, (_, index) => index)),
  "a large argument": ({ THINGS }) => THINGS.getByName("r").length("x".repeat(1_000_000)),
  "an error that a method throws": ({ THINGS }) =>
    thrown(() => THINGS.getByName("r").fail("Error")),
  "a RangeError that a method throws": ({ THINGS }) =>
    thrown(() => THINGS.getByName("r").fail("RangeError")),
  "an error of a class of its own": ({ THINGS }) =>
    thrown(() => THINGS.getByName("r").fail("OwnError")),
  "a method that is not there": ({ THINGS }) =>
    thrown(() => (THINGS.getByName("r") as unknown as Record<string, () => unknown>)["absent"]?.()),
  "a member that is no method": ({ THINGS }) =>
    thrown(() => (THINGS.getByName("r") as unknown as Record<string, () => unknown>)["own"]?.()),
  "handlers are no methods": async ({ THINGS }) => {
    const stub = THINGS.getByName("r") as unknown as Record<string, () => unknown>;
    return [
      await thrown(() => stub["alarm"]?.()),
      await thrown(() => stub["webSocketMessage"]?.()),
    ];
  },
  "a method of a class without handlers": ({ BARE }) => BARE.getByName("r").hello("you"),
  "an object keeps what is in its memory": async ({ THINGS }) => {
    const stub = THINGS.getByName("memory");
    return [await stub.remember("x"), await stub.remember("y"), await stub.remember("z")];
  },
  "objects of other names are others": async ({ THINGS }) => [
    await THINGS.getByName("memory 1").remember("x"),
    await THINGS.getByName("memory 2").remember("y"),
  ],
  "a stub by name and one by id lead to one object": async ({ THINGS }) => {
    await THINGS.getByName("both").remember("x");
    const byId = THINGS.get(THINGS.idFromString(String(THINGS.idFromName("both"))));
    return byId.remember("y");
  },
  "what an object finds as its id": async ({ THINGS }) => {
    const named = THINGS.getByName("self");
    const unique = THINGS.get(THINGS.newUniqueId());
    return [
      await named.self(String(named.id)),
      await unique.self(String(unique.id)),
      await named.self("other"),
    ];
  },
  "calls at the same time": async ({ THINGS }) => {
    const stub = THINGS.getByName("increments");
    const counts = await Promise.all(Array.from({ length: 20 }, () => stub.increment()));
    return [counts.toSorted((a, b) => a - b), await stub.increment()];
  },
  "an object that aborts itself": async ({ THINGS }) => {
    const stub = THINGS.getByName("aborting");
    await stub.remember("x");
    const { error } = (await thrown(() => stub.abort("on purpose"))) as { error: Error };
    return [error.message, await THINGS.getByName("aborting").remember("y")];
  },
  "an object whose constructor waits": ({ THINGS }) => THINGS.getByName("ready").isReady(),
  "one object calls another": ({ THINGS }) => THINGS.getByName("caller").callOther("callee", 20),
};

/** The next message or close of a WebSocket. */
function next(socket: WebSocket): Promise<unknown> {
  return new Promise((resolve) => {
    socket.addEventListener("message", ({ data }) => resolve(data), { once: true });
    socket.addEventListener("close", ({ code, reason }) => resolve({ code, reason }), {
      once: true,
    });
  });
}

async function open(stub: DurableObjectStub<Thing>, path: string): Promise<WebSocket> {
  const response = await stub.fetch(`http://o${path}`, { headers: { upgrade: "websocket" } });
  const { webSocket, status } = response;
  if (webSocket === null) throw new Error(`no WebSocket: ${status} ${await response.text()}`);
  webSocket.accept();
  return webSocket;
}

async function said(socket: WebSocket, text: string): Promise<unknown> {
  const answer = next(socket);
  socket.send(text);
  return answer;
}

const webSockets: ObjectCases = {
  "a WebSocket that the object accepts": async ({ THINGS }) => {
    const socket = await open(THINGS.getByName("ws"), "/socket");
    return [await said(socket, "hello"), await said(socket, "again"), await said(socket, "close")];
  },
  "bytes over a WebSocket": async ({ THINGS }) => {
    const socket = await open(THINGS.getByName("ws"), "/socket");
    const answer = next(socket);
    socket.send(new Uint8Array([1, 2, 3]));
    const bytes = await answer;
    socket.close(1000, "done");
    return bytes;
  },
  "a WebSocket that hibernates": async ({ THINGS }) => {
    const socket = await open(THINGS.getByName("hibernating"), "/hibernate?tag=a");
    const answers = [await said(socket, "hello"), await said(socket, "attachment")];
    const closed = next(socket);
    socket.send("close");
    return [...answers, await closed];
  },
  "an automatic response": async ({ THINGS }) => {
    const socket = await open(THINGS.getByName("automatic"), "/hibernate?auto=1");
    const answers = [await said(socket, "ping"), await said(socket, "hello")];
    socket.close(1000, "done");
    return answers;
  },
  "what an object knows of its WebSockets": async ({ THINGS }) => {
    const stub = THINGS.getByName("several");
    const sockets = [
      await open(stub, "/hibernate?tag=a&tag=b"),
      await open(stub, "/hibernate?tag=b"),
      await open(stub, "/hibernate"),
    ];
    const known = await stub.sockets();
    const received = sockets.map(next);
    await stub.broadcast("to all");
    const all = await Promise.all(received);
    for (const socket of sockets) socket.close(1000, "done");
    return [known, all];
  },
  "the object hears that the client closes": async ({ THINGS }) => {
    const stub = THINGS.getByName("closing");
    const socket = await open(stub, "/hibernate?tag=a");
    await said(socket, "hello");
    socket.close(4001, "bye");
    return stub.closed();
  },
  "no WebSocket for who asks for none": async ({ THINGS }) => {
    const response = await THINGS.getByName("ws").fetch("http://o/socket");
    return [response.status, response.webSocket === null, await response.text()];
  },
};

export const callCases: ObjectCases = { ...ids, ...stubs, ...fetches, ...rpc, ...webSockets };
