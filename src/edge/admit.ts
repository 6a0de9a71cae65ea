/**
 * What every function may rely on: headers that only the platform sets, whatever the client sent.
 * A request built from its parts has no `cf` object, which untrusted user Workers do not get either.
 * `x-forwarded-proto` is set by the listening socket's configuration.
 */

import type { EgressCall } from "../protocol/egress.ts";
import { chainCaller, removeOwn } from "./hairpin.ts";

const RAY_BYTES = 8;

/** What Cloudflare shows as the client of a request that a Worker made: an address of nobody. */
const WORKER_ADDRESS = "2a06:98c0:3600::103";

/** From a public socket. */
export function admit(request: Request): Request {
  const admitted = copyOf(request);
  const { headers } = admitted;
  removeOwn(headers);
  headers.set("cf-connecting-ip", clientAddress(request));
  headers.set("cf-ray", rayId());
  return admitted;
}

/** From the egress: a function asks for another one. */
export function admitHairpin(request: Request, caller: EgressCall | undefined): Request {
  const admitted = copyOf(request);
  const { headers } = admitted;
  chainCaller(headers, caller);
  headers.set("cf-connecting-ip", WORKER_ADDRESS);
  headers.set("cf-ray", rayId());
  headers.set("x-forwarded-proto", request.url.startsWith("https:") ? "https" : "http");
  return admitted;
}

/** From the egress, for an outbound Worker: as the function made it. */
export function admitOutbound(request: Request, caller: EgressCall): Request {
  const admitted = copyOf(request);
  chainCaller(admitted.headers, caller);
  return admitted;
}

function copyOf(request: Request): Request {
  const { method } = request;
  // Each object of the runtime that is touched here (body, headers) costs more than this function's code.
  const body = method === "GET" || method === "HEAD" ? null : request.body;
  return new Request(request.url, { method, headers: request.headers, body, redirect: "manual" });
}

/** workerd gives the peer as `clientIp`, `address:port`; IPv6 addresses are in brackets. */
function clientAddress(request: Request): string {
  const peer = (request.cf as { clientIp?: string } | undefined)?.clientIp ?? "";
  const colon = peer.lastIndexOf(":");
  return (colon < 0 ? peer : peer.slice(0, colon)).replace(/^\[|\]$/g, "");
}

let rays: string[] = [];

/** 16 hexadecimal digits, drawn by the hundred: one call for random bytes costs more than the bytes. */
function rayId(): string {
  let ray = rays.pop();
  if (ray === undefined) {
    const bytes = crypto.getRandomValues(new Uint8Array(100 * RAY_BYTES));
    const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    rays = Array.from({ length: 100 }, (_, index) =>
      hex.slice(index * 2 * RAY_BYTES, (index + 1) * 2 * RAY_BYTES),
    );
    ray = rays.pop() as string;
  }
  return ray;
}
