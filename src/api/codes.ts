/**
 * The error codes of this API, with the HTTP status each is sent with. They are Cloudflare's numbers,
 * because wrangler acts on some of them; `source` says where each was seen. [docs]:
 * https://developers.cloudflare.com/workers/observability/errors/#errors-on-worker-upload
 * [r2]: https://developers.cloudflare.com/r2/api/error-codes/
 */
export const CODES = {
  missingCredentials: { code: 9106, status: 401, source: "wrangler: treats 9106 as not logged in" },
  badCredentials: { code: 10000, status: 401, source: "wrangler: treats 10000 as not logged in" },
  // With 10000 wrangler asks who it is, is refused that too, and ends with a stack trace.
  invalidToken: { code: 9109, status: 401, source: "cloudflare/workers-sdk#4551" },
  forbidden: { code: 10000, status: 403, source: "api.cloudflare.com, token without permission" },
  tooManyFailures: { code: 971, status: 429, source: "cloudflare/workers-sdk#10025: throttled" },
  notUserOwned: { code: 1000, status: 401, source: "wrangler: takes the token for the account's" },
  noUser: { code: 9109, status: 403, source: "wrangler: the e-mail address is not known" },
  noRoute: { code: 7003, status: 404, source: "api.cloudflare.com, unknown path" },
  internal: { code: 10013, status: 500, source: "api.cloudflare.com, unknown error" },
  unavailable: { code: 10013, status: 503, source: "the same number; wrangler retries any 5xx" },

  badBody: { code: 10026, status: 400, source: "[docs] could not parse request body" },
  invalid: { code: 10021, status: 400, source: "[docs] validation error" },
  conflict: { code: 10035, status: 409, source: "[docs] simultaneous changes of one resource" },

  badScriptName: { code: 10016, status: 400, source: "[docs] invalid Worker name" },
  workerNotFound: { code: 10007, status: 404, source: "wrangler: an absent account Worker" },
  scriptNotFound: { code: 10092, status: 404, source: "wrangler: an absent user Worker" },
  namespaceNotFound: {
    code: 100119,
    status: 404,
    source: "cloudflare/workers-sdk: dispatch_namespace_not_found",
  },
  versionNotFound: { code: 10222, status: 404, source: "wrangler: no version of a Worker" },
  newestNotDeployed: { code: 10215, status: 400, source: "wrangler: secrets, newest undeployed" },
  secretsChanged: { code: 10220, status: 400, source: "wrangler rollback: asks, then forces" },
  scriptTooLarge: { code: 10027, status: 400, source: "[docs], wrangler: lists dependencies" },
  bodyTooLarge: {
    code: 10027,
    status: 413,
    source: "the same number, before anything is unpacked",
  },
  badModuleType: {
    code: 10162,
    status: 400,
    source: "[docs] unsupported Content-Type of a module",
  },
  noHandlers: { code: 10068, status: 400, source: "[docs] no registered event handlers" },

  unnamedBinding: { code: 10052, status: 400, source: "[docs] binding without a name" },
  bindingNameTaken: { code: 10053, status: 400, source: "wrangler secret put over a variable" },
  bindingTooLarge: { code: 10054, status: 400, source: "[docs] variable or secret too large" },
  tooManyBindings: { code: 10055, status: 400, source: "[docs] too many variables and secrets" },
  bindingNotFound: { code: 10056, status: 404, source: "[docs] binding not found" },
  noBoundWorker: {
    code: 10143,
    status: 400,
    source: "api.cloudflare.com, service binding to no Worker",
  },
  noBoundResource: {
    code: 10041,
    status: 400,
    source: "api.cloudflare.com, binding to a KV namespace that is not there",
  },
  kvNamespaceNotFound: {
    code: 10013,
    status: 404,
    source: "api.cloudflare.com: namespace not found",
  },
  kvTitleExists: { code: 10014, status: 400, source: "wrangler: has a text of its own for it" },
  kvKeyNotFound: { code: 10009, status: 404, source: "api.cloudflare.com: key not found" },
  d1Error: {
    code: 7500,
    status: 400,
    source: "api.cloudflare.com: a statement that SQLite refuses",
  },
  d1NotFound: { code: 7404, status: 404, source: "wrangler: no such database" },
  d1Exists: { code: 7502, status: 400, source: "wrangler: has a text of its own for it" },
  d1FileNotFound: { code: 930085, status: 404, source: "Skep" },
  cannotInherit: { code: 10057, status: 400, source: "wrangler: bindings_inherit=strict" },

  migrationTag: {
    code: 10079,
    status: 412,
    source: "api.cloudflare.com, migrations that begin with another tag",
  },
  classExists: {
    code: 10074,
    status: 400,
    source: "api.cloudflare.com, new-class migration of a class that is there",
  },
  newClassNotExported: {
    code: 10070,
    status: 400,
    source: "api.cloudflare.com, new-class migration of a class that is not exported",
  },
  classNotExported: {
    code: 10064,
    status: 400,
    source: "api.cloudflare.com, a version without a class that has objects",
  },
  classBinding: {
    code: 10061,
    status: 400,
    source: "api.cloudflare.com, binding to a class that is none, or is to be deleted",
  },
  migrationInVersion: {
    code: 10211,
    status: 400,
    source: "api.cloudflare.com, migrations with an upload that is no deploy",
  },
  exportsConflict: { code: 100402, status: 400, source: "wrangler: prints errors[].meta.details" },

  bucketNotFound: { code: 10006, status: 404, source: "wrangler: an absent R2 bucket" },
  bucketExists: { code: 10004, status: 409, source: "[r2] the bucket already exists" },
  badBucketName: { code: 10005, status: 400, source: "[r2] the bucket's name is not valid" },
  objectNotFound: { code: 10007, status: 404, source: "[r2] the key does not exist" },
  bucketNotEmpty: { code: 10008, status: 409, source: "[r2] the bucket is not empty" },
  badObjectName: { code: 10020, status: 400, source: "[r2] the object's name is not valid" },
  preconditionFailed: { code: 10031, status: 412, source: "[r2] a precondition did not hold" },
  noCorsPolicy: { code: 10059, status: 404, source: "[r2] no CORS configuration" },
  noNotifications: { code: 11015, status: 404, source: "[r2] no event notifications" },

  workflowNotFound: { code: 10200, status: 404, source: "wrangler: a Workflow's name is free" },
  instanceNotFound: { code: 10400, status: 404, source: "workerd: instance.not_found" },
  instanceExists: { code: 10405, status: 409, source: "workerd: instance.already_exists" },

  zoneNotFound: { code: 7003, status: 404, source: "api.cloudflare.com, unknown zone" },
  zoneExists: { code: 1061, status: 400, source: "api.cloudflare.com, duplicate zone" },
  routeExists: { code: 10020, status: 409, source: "api.cloudflare.com, duplicate route" },

  queueNotFound: { code: 10104, status: 404, source: "Cloudflare's list of errors of Queues" },
  badMessage: { code: 10203, status: 400, source: "the same list" },
  messageTooLarge: { code: 10204, status: 413, source: "the same list" },
  batchTooLarge: { code: 10205, status: 413, source: "the same list" },
  tooManyMessages: { code: 10206, status: 413, source: "the same list" },
  queueFull: { code: 10251, status: 507, source: "the same list" },
  queueConsumerExists: { code: 11004, status: 409, source: "cloudflare/workers-sdk#5347" },
  badConsumerSettings: { code: 100127, status: 400, source: "wrangler: INVALID_CONSUMER_SETTINGS" },
  badQueueSettings: { code: 100128, status: 400, source: "wrangler: INVALID_QUEUE_SETTINGS" },

  // Ours: Cloudflare's own number is not known or there is none.
  namespaceExists: { code: 930001, status: 409, source: "Skep" },
  badNamespaceName: { code: 930002, status: 400, source: "Skep" },
  badTags: { code: 930003, status: 400, source: "Skep" },
  badRoute: { code: 930004, status: 400, source: "Skep" },
  routeNotFound: { code: 930005, status: 404, source: "Skep" },
  deploymentNotFound: { code: 930009, status: 404, source: "Skep" },
  badLimit: { code: 930007, status: 400, source: "Skep" },
  badZone: { code: 930021, status: 400, source: "Skep" },
  notInZone: { code: 930020, status: 400, source: "Skep" },
  tooManyTails: { code: 930041, status: 429, source: "Skep" },
  tailNotFound: { code: 930042, status: 404, source: "Skep" },
  unknownConsumer: { code: 930043, status: 400, source: "Skep" },
  tokenNotFound: { code: 930061, status: 404, source: "Skep" },
  badToken: { code: 930062, status: 400, source: "Skep" },
  badRollout: { code: 930010, status: 400, source: "Skep" },
  rolloutRunning: { code: 930011, status: 409, source: "Skep" },
  noRollout: { code: 930012, status: 404, source: "Skep" },
  objectsInUse: { code: 930080, status: 400, source: "Skep" },
  objectsNotFound: { code: 930081, status: 404, source: "Skep" },
  /** Kinds with a number of their own answer with that. */
  resourceNotFound: { code: 930070, status: 404, source: "Skep" },
  resourceExists: { code: 930071, status: 409, source: "Skep" },
  queueConsumerNotFound: { code: 930072, status: 404, source: "Skep" },
  notPulled: { code: 930073, status: 409, source: "Skep" },
  quotaExceeded: { code: 930074, status: 413, source: "Skep" },
  invocationNotFound: { code: 930090, status: 404, source: "Skep" },
  tooManyInvocations: { code: 930091, status: 429, source: "Skep" },
  workflowExists: { code: 930082, status: 409, source: "Skep" },
  workflowBound: { code: 930083, status: 409, source: "Skep" },
  badInstance: { code: 930084, status: 400, source: "Skep" },
  notSupported: { code: 930006, status: 400, source: "Skep: a Cloudflare feature it lacks" },
} as const satisfies Record<string, { code: number; status: number; source: string }>;

export type CodeName = keyof typeof CODES;
