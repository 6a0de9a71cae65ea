/** Entries of operations.ts for tokens, the audit log, uploads of static assets, rollouts, tails and logs. */
import * as assets from "../assets/upload-session.ts";
import * as changes from "../changes.ts";
import { feed as wantedFeed } from "../upload/change-feeds.ts";
import * as rollouts from "../rollouts.ts";
import * as tails from "../tails.ts";
import * as tokens from "../tokens.ts";
import * as answer from "./answers.ts";
import type { Operation } from "./operations.ts";
import * as report from "./report-answers.ts";

export function ofTokens(v4: string, account: string): Record<string, Operation> {
  const roots = [`${v4}/user/tokens`, `${account}/tokens`];
  return {
    ...Object.fromEntries(
      roots.flatMap((root): [string, Operation][] => [
        [`GET ${root}`, { does: "Tokens", result: answer.token, list: true }],
        [
          `POST ${root}`,
          {
            does: "Makes a token; its value is shown once",
            body: tokens.creation,
            result: answer.newToken,
          },
        ],
        [
          `GET ${root}/permission_groups`,
          {
            does: "What a token may be allowed",
            result: answer.offeredPermissionGroup,
            list: true,
          },
        ],
        [`GET ${root}/:token`, { does: "One token, without its value", result: answer.token }],
        [`DELETE ${root}/:token`, { does: "Revokes a token", result: answer.id }],
        [
          `PUT ${root}/:token/value`,
          { does: "Gives a token a new value", result: answer.rolledToken },
        ],
      ]),
    ),
    [`GET ${account}/tokens/verify`]: { does: "Checks the token", result: answer.verifiedToken },
    [`GET ${account}/audit_logs`]: {
      does: "Who changed what, newest first",
      query: {
        since: "Not before",
        before: "Not after",
        target: "A namespace, or a script as `production/hello`",
      },
      result: report.auditEntry,
      list: true,
    },
  };
}

export function ofAssets(account: string, scripts: readonly string[]): Record<string, Operation> {
  const upload: Operation = {
    does: "Contents of static assets, with the token of the session",
    result: answer.assetsUpload,
  };
  return {
    [`POST ${account}/workers/assets/upload`]: upload,
    [`POST ${account}/workers/assets/upload/:hash`]: upload,
    ...Object.fromEntries(
      scripts.map((script) => [
        `POST ${script}/assets-upload-session`,
        {
          does: "Opens an upload session for static assets",
          body: assets.manifest,
          result: answer.assetsSession,
        },
      ]),
    ),
  };
}

export function ofRollouts(scripts: readonly string[]): Record<string, Operation> {
  const rollout = (does: string): Operation => ({ does, result: report.rollout, ours: true });
  return Object.fromEntries(
    scripts.flatMap((script) => [
      [
        `POST ${script}/rollout`,
        { ...rollout("Moves the traffic to a version in steps"), body: rollouts.body },
      ],
      [`GET ${script}/rollout`, rollout("How far it is")],
      [`DELETE ${script}/rollout`, rollout("Ends it, going back")],
      [`POST ${script}/rollout/promote`, rollout("Goes to the end at once")],
    ]),
  );
}

export function ofChanges(scripts: readonly string[]): Record<string, Operation> {
  const feed = { result: report.changeFeed, ours: true } as const;
  return Object.fromEntries(
    scripts.flatMap((script) => [
      [`GET ${script}/changes`, { does: "Feeds of changes", ...feed, list: true }],
      [
        `POST ${script}/changes`,
        { does: "Calls the function with changes", ...feed, body: wantedFeed },
      ],
      [
        `PUT ${script}/changes`,
        { does: "Replaces all feeds of changes", ...feed, list: true, body: changes.body },
      ],
      [`GET ${script}/changes/:feed`, { does: "How far a feed has got", ...feed }],
      [
        `DELETE ${script}/changes/:feed`,
        { does: "Ends a feed of changes", result: answer.nothing, ours: true },
      ],
      [
        `PUT ${script}/changes/:feed/position`,
        { does: "Goes back, or on, to a change", ...feed, body: changes.position },
      ],
    ]),
  );
}

/** `namespace`: its tails are of all its functions. */
export function ofTails(namespace: string, scripts: readonly string[]): Record<string, Operation> {
  const tailsOf = (owner: string, ours: { ours?: true } = {}): [string, Operation][] => [
    [
      `POST ${owner}/tails`,
      {
        does: "Starts a tail, read at the answer's url",
        body: tails.creation,
        result: answer.tail,
        ...ours,
      },
    ],
    [`GET ${owner}/tails`, { does: "Tails", result: answer.tail, list: true, ...ours }],
    [`DELETE ${owner}/tails/:tail`, { does: "Ends a tail", result: answer.nothing, ...ours }],
  ];
  return {
    "GET /tails/:tail": {
      does: "The WebSocket of a tail, whose URL is its credential",
      contentType: "text/plain",
      ours: true,
    },
    ...Object.fromEntries([
      ...scripts.flatMap((script) => tailsOf(script)),
      ...tailsOf(namespace, { ours: true }),
    ]),
    ...Object.fromEntries(scripts.map((script) => [`GET ${script}/logs`, LOGS])),
  };
}

const LOGS: Operation = {
  does: "Kept logs, newest first",
  query: {
    since: "Begin, as a time or a duration; 1h by default",
    until: "End; now by default",
    grep: "With this text",
    outcome: "Of these outcomes, comma separated",
    version: "Of this version",
    limit: "At most 1,000; 100 by default",
    cursor: "Of the page before",
  },
  result: report.logs,
  ours: true,
};
