/** The Worker that runs the cases: `/{case}` answers what it saw, in plain JSON; `/` the names of all. */
import { told } from "./cases.ts";
import { storageCases } from "./durable-object-storage.ts";
import { callCases, type ObjectsEnv } from "./durable-objects.ts";

export { Bare, Thing } from "./durable-object-classes.ts";

export default {
  async fetch(request, env) {
    const name = decodeURIComponent(new URL(request.url).pathname.slice(1));
    if (name === "")
      return Response.json([...Object.keys(callCases), ...Object.keys(storageCases)]);
    const run = callCases[name];
    if (run === undefined) return new Response(await env.THINGS.getByName(name).run(name));
    try {
      return Response.json({ answer: await told(await run(env)) });
    } catch (error) {
      return Response.json({ threw: await told(error) });
    }
  },
} satisfies ExportedHandler<ObjectsEnv>;
