/** Which databases are in the slow lane, as the fast one sees it. */
export class SlowLane {
  readonly #lane: Fetcher;
  /** Unix milliseconds until which each is there. */
  readonly #until: Map<string, number>;
  /** Releases under way: a second one would open the database there again. */
  readonly #releases = new Map<string, Promise<boolean>>();

  constructor(lane: Fetcher, until: Readonly<Record<string, number>>) {
    this.#lane = lane;
    this.#until = new Map(Object.entries(until));
  }

  has(id: string): boolean {
    return this.#until.has(id);
  }

  /** False: its time is over, and it is open there no more. */
  async keeps(id: string): Promise<boolean> {
    const until = this.#until.get(id);
    if (until === undefined) return false;
    if (Date.now() < until) return true;
    let release = this.#releases.get(id);
    if (release === undefined) {
      release = this.#release(id).finally(() => this.#releases.delete(id));
      this.#releases.set(id, release);
    }
    return !(await release);
  }

  async #release(id: string): Promise<boolean> {
    const { ok } = await this.#lane.fetch(`http://lane/release/${id}`, { method: "POST" });
    if (ok) this.#until.delete(id);
    return ok;
  }

  fetch(request: Request): Promise<Response> {
    return this.#lane.fetch(request);
  }
}
