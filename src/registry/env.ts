/** The services that the Registry object uses, part of the hub's `Env`. */
export interface RegistryEnv {
  /** Writable disk service with one file per blob: `PUT|GET|DELETE http://blobs/<name>`. */
  readonly BLOBS: Fetcher;
  /** `supervisor.sock`, see src/protocol/hub.ts. */
  readonly SUPERVISOR: Fetcher;
  /** `trial.sock`, see src/protocol/hub.ts. */
  readonly TRIAL: Fetcher;
}
