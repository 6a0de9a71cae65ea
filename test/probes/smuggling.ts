/**
 * Requests that are two requests to whoever reads them otherwise: raw bytes from clients. Each is either refused or
 * understood in one way, and neither the next request on the connection nor anybody else's gets a part of it.
 */
import { expect } from "vitest";
import { ask, type Probe } from "./probe.ts";
import { exchange, statuses } from "./raw-http.ts";

const SEEN = `
  export default { async fetch(request) {
    const body = await request.text();
    return Response.json({ seen: request.method + " " + new URL(request.url).pathname, body, injected: request.headers.get("x-injected") });
  } };`;

const SMUGGLED = "GET /smuggled HTTP/1.1\r\nx-injected: 1\r\nhost: HOST\r\n\r\n";

/** HOST is the function's host. A request line is written in front of all but \`line\`. */
const AMBIGUOUS: Readonly<Record<string, string>> = {
  "CL.TE": `POST / HTTP/1.1\r\nhost: HOST\r\ncontent-length: ${SMUGGLED.length + 5}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  "TE.CL": `POST / HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n5c\r\n${SMUGGLED}\r\n0\r\n\r\n`,
  "two equal lengths": `POST / HTTP/1.1\r\nhost: HOST\r\ncontent-length: 3\r\ncontent-length: 3\r\n\r\nabc`,
  "two lengths": `POST / HTTP/1.1\r\nhost: HOST\r\ncontent-length: 0\r\ncontent-length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
  "a list of lengths": `POST / HTTP/1.1\r\nhost: HOST\r\ncontent-length: 0, ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
  "a signed length": `POST / HTTP/1.1\r\nhost: HOST\r\ncontent-length: +0\r\n\r\n`,
  "a negative length": `POST / HTTP/1.1\r\nhost: HOST\r\ncontent-length: -1\r\n\r\n`,
  "a hexadecimal length": `POST / HTTP/1.1\r\nhost: HOST\r\ncontent-length: 0x10\r\n\r\n${SMUGGLED}`,
  "a huge length": `POST / HTTP/1.1\r\nhost: HOST\r\ncontent-length: 18446744073709551616\r\n\r\n${SMUGGLED}`,
  "two encodings": `POST / HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  "an unknown encoding": `POST / HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  "an encoding with a space": `POST / HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding : chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  "an encoding with a vertical tab": `POST / HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: \vchunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  "a bad chunk size": `POST / HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n`,
  "an overflowing chunk size": `POST / HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: chunked\r\n\r\n10000000000000000\r\n${SMUGGLED}\r\n0\r\n\r\n`,
  "a chunk longer than its size": `POST / HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n${SMUGGLED}`,
  "a chunk extension with a line end": `POST / HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: chunked\r\n\r\n1;a\nb\r\nx\r\n0\r\n\r\n${SMUGGLED}`,
  "a folded header": `GET / HTTP/1.1\r\nhost: HOST\r\nx-a: b\r\n x-injected: 1\r\n\r\n`,
  "a folded length": `POST / HTTP/1.1\r\nhost: HOST\r\ncontent-length:\r\n 0\r\n\r\n${SMUGGLED}`,
  "a NUL in a value": `GET / HTTP/1.1\r\nhost: HOST\r\nx-a: b\0\r\nx-b: c\r\n\r\n`,
  "a NUL in a name": `GET / HTTP/1.1\r\nhost: HOST\r\nx-\0a: b\r\n\r\n`,
  "a bare carriage return": `GET / HTTP/1.1\r\nhost: HOST\r\nx-a: b\rx-injected: 1\r\n\r\n`,
  "bare line feeds": `GET / HTTP/1.1\nhost: HOST\nx-a: b\n\n`,
  "a header without a colon": `GET / HTTP/1.1\r\nhost: HOST\r\nx-injected\r\n\r\n`,
  "a space before the colon": `GET / HTTP/1.1\r\nhost: HOST\r\nx-injected : 1\r\n\r\n`,
  "two hosts": `GET / HTTP/1.1\r\nhost: HOST\r\nhost: victim.production.localhost\r\n\r\n`,
  "an absolute target for another host": `GET http://victim.production.localhost/ HTTP/1.1\r\nhost: HOST\r\n\r\n`,
  "a host with a path": `GET / HTTP/1.1\r\nhost: HOST/smuggled?\r\n\r\n`,
  "a host with a user": `GET / HTTP/1.1\r\nhost: victim.production.localhost@HOST\r\n\r\n`,
  "no host": `GET / HTTP/1.1\r\n\r\n`,
  "a target that is no path": `GET smuggled HTTP/1.1\r\nhost: HOST\r\n\r\n`,
  "a target with spaces": `GET / /smuggled HTTP/1.1\r\nhost: HOST\r\n\r\n`,
  "a target out of the root": `GET /../../../etc/passwd HTTP/1.1\r\nhost: HOST\r\n\r\n`,
  "a method with a line end": `GE\rT / HTTP/1.1\r\nhost: HOST\r\n\r\n`,
  "a made-up method": `SKEP / HTTP/1.1\r\nhost: HOST\r\n\r\n`,
  CONNECT: `CONNECT 127.0.0.1:TRIPWIRE HTTP/1.1\r\nhost: 127.0.0.1:TRIPWIRE\r\n\r\n`,
  TRACE: `TRACE / HTTP/1.1\r\nhost: HOST\r\ncookie: secret\r\n\r\n`,
  "HTTP/2 in the clear": `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n`,
  "an upgrade to h2c": `GET / HTTP/1.1\r\nhost: HOST\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n`,
  "a body on a GET": `GET / HTTP/1.1\r\nhost: HOST\r\ncontent-length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
  "a chunked body on a HEAD": `HEAD / HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
  "the hop's header twice": `GET / HTTP/1.1\r\nhost: HOST\r\nx-skep-call: a\r\nx-skep-call: b\r\nconnection: x-skep-call\r\n\r\n`,
  "hop-by-hop removal of the platform's headers": `GET / HTTP/1.1\r\nhost: HOST\r\nconnection: close, cf-connecting-ip, cf-ray, x-skep-call\r\n\r\n`,
  trailers: `POST / HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: chunked\r\ntrailer: x-injected\r\n\r\n1\r\nx\r\n0\r\nx-injected: 1\r\ncf-connecting-ip: 6.6.6.6\r\n\r\n`,
};

export const smuggling: readonly Probe[] = [
  {
    name: "an ambiguous request is refused or understood in one way, and leaks into no other request",
    source: SEEN,
    check: async (stage, script) => {
      const host = stage.hostOf(script);
      const { httpPort, tripwirePort } = stage.targets;
      await ask(stage, script);
      const bystanders = askAgain(stage, script, 60);
      const results = await Promise.all(
        Object.entries(AMBIGUOUS).map(async ([what, bytes]) => {
          const text = bytes.replaceAll("HOST", host).replaceAll("TRIPWIRE", String(tripwirePort));
          return { what, received: await exchange(httpPort, Buffer.from(text, "latin1")) };
        }),
      );
      expect(await bystanders).toEqual([]);
      expect(await askAgain(stage, script, 20)).toEqual([]);
      for (const { what, received } of results) {
        // A smuggled request that is pipelined behind a complete one is the client's own, and visible as such;
        // what must not be is one request that was read as its own body and as a request.
        const body = /"body":"([^"]*)/.exec(received)?.[1] ?? "";
        expect(body.includes("smuggled") && /"seen":"GET \/smuggled/.test(received), what).toBe(
          false,
        );
        expect(received, what).not.toContain(stage.victimSecret);
        expect(received, what).not.toContain("6.6.6.6");
        expect(statuses(received).length, what).toBeLessThanOrEqual(2);
      }
      const by = new Map(results.map(({ what, received }) => [what, received]));
      const refused = [
        "two lengths",
        "a list of lengths",
        "a negative length",
        "a huge length",
        "two encodings",
        "an unknown encoding",
        "a bad chunk size",
        "an overflowing chunk size",
        "a NUL in a value",
        "a NUL in a name",
        "a header without a colon",
        "CONNECT",
        "HTTP/2 in the clear",
      ];
      const accepted = refused.filter((what) =>
        statuses(by.get(what) ?? "").some((status) => status < 400),
      );
      expect(accepted).toEqual([]);
      expect(
        [...by]
          .filter(([, text]) => /"injected":"1"/.test(text) && !/smuggled/.test(text))
          .map(([what]) => what),
      ).toEqual([]);
    },
  },
];

/** Requests of others at the same time: those that did not get exactly their own answer. */
async function askAgain(
  stage: Parameters<typeof ask>[0],
  script: string,
  count: number,
): Promise<string[]> {
  const wrong: string[] = [];
  for (let i = 0; i < count; i++) {
    const { text } = await ask(stage, script, {
      method: "POST",
      path: `/own-${i}`,
      body: `own ${i}`,
    });
    const { seen, body, injected } = JSON.parse(text) as Record<string, string | null>;
    if (seen !== `POST /own-${i}` || body !== `own ${i}` || injected !== null) wrong.push(text);
  }
  return wrong;
}
