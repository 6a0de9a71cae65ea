/** D1 databases as the store sees them: whatever is asked goes on to the process that has them. */
import type { Kind } from "../kinds.ts";

export const d1: Kind = {
  bind: (request, _id, env) => env.DATABASES.fetch(request),
  administer: (request, _id, env) => env.DATABASES.fetch(request),
  async configure(config, id, env) {
    const url = `http://databases/configs/d1/${id}`;
    const init =
      config === null ? { method: "DELETE" } : { method: "PUT", body: JSON.stringify(config) };
    const response = await env.DATABASES.fetch(url, init);
    if (!response.ok)
      throw new Error(`the databases answered ${response.status} ${await response.text()}`);
  },
};
