export { FunctionMetrics } from "../function-metrics.ts";

export default {
  fetch: () => new Response("the tests call the objects directly"),
} satisfies ExportedHandler;
