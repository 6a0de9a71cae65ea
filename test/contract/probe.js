// A dispatcher that does with its dispatch namespace what the test asks for. One plain module, since it
// runs as it is under Miniflare and as `skep start --dispatcher FILE`.
//
// The header `x-probe`, or for WebSockets the query parameter `probe`, holds JSON: Ask in target.ts. What
// the namespace throws comes back as JSON with the header `x-probe-threw`: `get` or `fetch`.

const MODES = {
  forward: (worker, request) => worker.fetch(request),

  call: (worker, _request, { url, init }) => worker.fetch(url, init),

  async repeat(worker, { url }, { count }) {
    const texts = [];
    for (let n = 0; n < count; n++) texts.push(await (await worker.fetch(url)).text());
    return Response.json(texts);
  },

  async together(worker, { url }, { count }) {
    const calls = Array.from({ length: count }, async () => (await worker.fetch(url)).text());
    return Response.json(await Promise.all(calls));
  },

  get: () => new Response("got it"),
};

export default {
  async fetch(request, env) {
    const text = request.headers.get("x-probe") ?? new URL(request.url).searchParams.get("probe");
    const ask = JSON.parse(text);
    let stage = "get";
    try {
      const worker = env.DISPATCHER.get(ask.script, ask.args, ask.options);
      stage = "fetch";
      return await MODES[ask.mode ?? "forward"](worker, request, ask);
    } catch (error) {
      const { name, message, remote } = error;
      const thrown = { name, message, remote, isError: error instanceof Error };
      return Response.json(thrown, { status: 500, headers: { "x-probe-threw": stage } });
    }
  },
};
