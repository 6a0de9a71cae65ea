/** What the store tells of a script's events (src/store/scripts/kind.ts). */
import type { InvocationDetail, InvocationRecord, NewInvocation } from "../protocol/invocations.ts";
import type { ScheduleReport } from "../protocol/schedules.ts";
import type { ApiContext } from "./context.ts";
import { ApiError } from "./errors.ts";

export function askStore(c: ApiContext, scriptId: string) {
  const url = (path: string) => `http://store/script/${scriptId}/${path}`;
  const ask = async (path: string, init?: RequestInit): Promise<Response> => {
    let response: Response;
    try {
      response = await c.env.STORE.fetch(url(path), init);
    } catch (error) {
      throw new ApiError("unavailable", "The store cannot be reached now. Try again in a moment.", {
        cause: error,
      });
    }
    if (response.status === 507) throw new ApiError("quotaExceeded", await response.text());
    if (response.status === 429) throw new ApiError("tooManyInvocations", await response.text());
    return response;
  };
  return {
    async runs(limit: number) {
      return (await ask(`runs?limit=${limit}`)).json<ScheduleReport>();
    },
    async invoke(invocation: NewInvocation) {
      const body = JSON.stringify(invocation);
      return (await ask("invocations", { method: "POST", body })).json<InvocationDetail>();
    },
    async invocation(id: string): Promise<InvocationDetail | null> {
      const response = await ask(`invocations/${encodeURIComponent(id)}`);
      return response.status === 404 ? null : response.json<InvocationDetail>();
    },
    async invocations(query: URLSearchParams) {
      const response = await ask(`invocations?${query.toString()}`);
      return (await response.json<{ invocations: InvocationRecord[] }>()).invocations;
    },
  };
}
