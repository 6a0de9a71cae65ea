/** Stands in for egress: keeps what functions fetched, and gives it out at `GET http://collector/taken`. */
export interface Taken {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

let taken: Taken[] = [];

export default {
  async fetch(request) {
    if (request.url === "http://collector/taken") {
      const all = taken;
      taken = [];
      return Response.json(all);
    }
    taken.push({ url: request.url, headers: Object.fromEntries(request.headers) });
    return new Response(`collected ${await request.text()}`);
  },
} satisfies ExportedHandler;
