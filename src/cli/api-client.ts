/** Calls the platform's own API as wrangler does, with the operator's token. */
import { CommandError } from "./command.ts";
import type { RunningPlatform } from "./running-platform.ts";

interface Envelope {
  readonly success: boolean;
  readonly errors?: readonly { readonly code: number; readonly message: string }[];
  readonly result?: unknown;
}

/** `path` follows the account, such as `/workers/dispatch/routes`. @throws CommandError with the API's text. */
export function callApi(
  platform: Pick<RunningPlatform, "token" | "state">,
  method: string,
  path: string,
  body?: FormData | Uint8Array<ArrayBuffer> | object,
  headers?: Readonly<Record<string, string>>,
): Promise<unknown> {
  return callV4(platform, method, `/accounts/${platform.state.accountId}${path}`, body, headers);
}

/** As `callApi`, for what is not under an account, such as `/zones`. Bytes go as they are, other objects as JSON. */
export async function callV4(
  { state, token }: Pick<RunningPlatform, "token" | "state">,
  method: string,
  path: string,
  body?: FormData | Uint8Array<ArrayBuffer> | object,
  more: Readonly<Record<string, string>> = {},
): Promise<unknown> {
  const url = `${state.apiUrl}/client/v4${path}`;
  const isRaw = body === undefined || body instanceof FormData || body instanceof Uint8Array;
  let response: Response;
  try {
    response = await fetch(url, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(isRaw ? {} : { "content-type": "application/json" }),
        ...more,
      },
      ...(body === undefined ? {} : { body: isRaw ? body : JSON.stringify(body) }),
    });
  } catch (error) {
    throw new CommandError(`${method} ${url}: the API does not answer`, { cause: error });
  }
  const text = await response.text();
  const envelope = parse(text);
  if (envelope?.success) return envelope.result;
  const reasons = envelope?.errors?.map(({ code, message }) => `${message} [code: ${code}]`);
  if (reasons?.length) throw new CommandError(reasons.join("; "));
  throw new CommandError(`${method} ${url}: ${response.status} ${text}`);
}

function parse(text: string): Envelope | undefined {
  try {
    return JSON.parse(text) as Envelope;
  } catch {
    return undefined; // Not an answer of the API; its text is shown as it is.
  }
}
