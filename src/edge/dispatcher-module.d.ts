/** The module that the edge's configuration supplies: the built-in dispatcher, or the operator's own. */
declare module "dispatcher" {
  const dispatcher: {
    fetch(request: Request, env: unknown, ctx: ExecutionContext): Response | Promise<Response>;
  };
  export default dispatcher;
}
