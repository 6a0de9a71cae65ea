/**
 * What lies where in `run/`, the working directory of all processes: the sockets, and the directories that a
 * sandboxed process gets to see. Each directory holds what one kind of caller may reach.
 *
 * Two lives of an edge or a cell can overlap, so each has a directory of its own. Callers know a link, such as
 * `peers/peer-0.sock`, which leads to the life that counts (launcher.ts). Hub and egress are replaced one after
 * the other: their sockets are where they are.
 */
/** Of processes with D1 databases (src/store/d1/main.ts). */
export type DatabaseLane = "fast" | "slow";

export const RUN_DIRECTORIES = {
  /** For the supervisor and the hub alone. */
  hub: "hub",
  edgeHub: "edge-hub",
  egress: "egress",
  trial: "trial",
  store: "store",
  /** For the hub, which asks the store, and nobody else. */
  storeControl: "store-control",
  /** Of the processes with D1 databases: for the store, and the slow lane for the fast one. */
  databasesControl: "databases-control",
  /** Links to edges, for the store. */
  events: "events",
  /** Links to edges, for edges and the egress. */
  peers: "peers",
  edges: "edges",
  cells: "cells",
  /** Code of stateful cells while they start: each sees its own. */
  stateful: "stateful",
} as const;

/** The directory in which this life makes its sockets. */
export const lifeDirectory = {
  edge: (life: number) => `${RUN_DIRECTORIES.edges}/${life}`,
  cell: (life: number) => `${RUN_DIRECTORIES.cells}/${life}`,
} as const;

export const socketNames = {
  // Inherited TCP sockets, which have no path.
  api: "api",
  http: "http",
  https: "https",

  admin: `${RUN_DIRECTORIES.hub}/admin.sock`,
  supervisor: `${RUN_DIRECTORIES.hub}/supervisor.sock`,
  edgeHub: `${RUN_DIRECTORIES.edgeHub}/edge-hub.sock`,
  egress: `${RUN_DIRECTORIES.egress}/egress.sock`,

  store: `${RUN_DIRECTORIES.store}/store.sock`,
  storeControl: `${RUN_DIRECTORIES.storeControl}/control.sock`,

  /** Of the fast lane. */
  databases: `${RUN_DIRECTORIES.store}/databases.sock`,
  databasesControl: (lane: DatabaseLane) => `${RUN_DIRECTORIES.databasesControl}/${lane}.sock`,

  edgeControl: (life: number) => `${lifeDirectory.edge(life)}/control.sock`,
  edgePeer: (life: number) => `${lifeDirectory.edge(life)}/peer.sock`,
  edgeHairpin: (life: number) => `${lifeDirectory.edge(life)}/hairpin.sock`,
  edgeEvents: (life: number) => `${lifeDirectory.edge(life)}/events.sock`,
  cellLife: (life: number) => `${lifeDirectory.cell(life)}/cell.sock`,
  cellControl: (life: number) => `${lifeDirectory.cell(life)}/control.sock`,

  // Links.
  peer: (index: number) => `${RUN_DIRECTORIES.peers}/peer-${index}.sock`,
  hairpin: (index: number) => `${RUN_DIRECTORIES.peers}/hairpin-${index}.sock`,
  events: (index: number) => `${RUN_DIRECTORIES.events}/events-${index}.sock`,
  cell: (index: number) => `${RUN_DIRECTORIES.cells}/cell-${index}.sock`,
  /** Leads to the control socket of the trial cell. */
  trial: `${RUN_DIRECTORIES.trial}/trial.sock`,
} as const;
