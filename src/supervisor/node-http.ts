/**
 * `node:http`, without what an `import` of it costs: that reads every export, one of which loads all of undici,
 * 40 ms of each command's start.
 */
export const { createServer, request } = process.getBuiltinModule("node:http");
