/**
 * The trusted side of a binding to static assets: `env.ASSETS.fetch` of a function. Edges have the assets
 * (src/edge/assets), of the version whose isolate asks. The main module of a process that holds isolates exports it.
 */
import { WorkerEntrypoint } from "cloudflare:workers";
import type { AssetsValue } from "../protocol/bundle.ts";
import { calls, type BindingProps } from "./bindings.ts";
import { chargeSubrequest, withoutOwn } from "./outbound.ts";

export class SkepAssets extends WorkerEntrypoint<unknown, BindingProps<AssetsValue>> {
  override fetch(request: Request): Promise<Response> {
    const { caller, value } = this.ctx.props;
    const via = chargeSubrequest(caller);
    const headers = withoutOwn(request.headers);
    return calls().asset(caller, value, via, new Request(request, { headers }));
  }
}
