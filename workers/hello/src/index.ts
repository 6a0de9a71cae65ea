// The smallest function: one handler, no bindings.
export default {
  fetch(): Response {
    return new Response("Hello from a function of its own isolate.\n");
  },
} satisfies ExportedHandler;
