import { setTimeout as pause } from "node:timers/promises";

import type { Endpoint } from "./endpoint.js";
import { NOT_APPLIED, Unavailable } from "./errors.js";
import type { Limit } from "./limit.js";

/** How long a server may be silent until the next one is tried beside it, in ms. */
const STAGGER_MS = 200;

/** How long to wait after none could be reached, in ms. */
const ROUND_PAUSE_MS = 100;

/** Endpoints are the nodes of a cluster that a client knows. Any node takes any call: one of them is used at a time. */
export class Endpoints {
  readonly #all: readonly Endpoint[];
  #used = 0;

  constructor(all: readonly Endpoint[]) {
    this.#all = all;
  }

  /**
   * connected returns an endpoint with a connection: the one that was used last if it has one, else the first that
   * answers. As nothing is sent before, a call that finds none has certainly not been applied.
   */
  async connected(limit: Limit): Promise<Endpoint> {
    const used = this.#all[this.#used]!;
    if (used.ready) {
      return used;
    }
    while (!limit.ended) {
      const found = await this.#first(limit);
      if (found !== undefined) {
        this.#used = this.#all.indexOf(found);
        return found;
      }
      await limit.pause(ROUND_PAUSE_MS);
    }
    throw limit.refusal(this.#complaints());
  }

  /** leave lets calls go on elsewhere, as this endpoint could not serve one. */
  leave(endpoint: Endpoint): void {
    if (this.#all[this.#used] === endpoint) {
      this.#used = (this.#used + 1) % this.#all.length;
    }
  }

  close(): void {
    for (const endpoint of this.#all) {
      endpoint.close();
    }
  }

  /** first tries all, one a little after the other, and returns the first that answers. */
  async #first(limit: Limit): Promise<Endpoint | undefined> {
    const stop = new AbortController();
    const order = [...this.#all.slice(this.#used), ...this.#all.slice(0, this.#used)];
    const tries = order.map(async (endpoint, place) => {
      if (place > 0) {
        await pause(place * STAGGER_MS, undefined, { signal: stop.signal });
      }
      await endpoint.reach(limit.deadline, stop.signal);
      return endpoint;
    });
    try {
      return await limit.within(Promise.any(tries));
    } catch {
      return undefined; // each has a complaint
    } finally {
      stop.abort();
    }
  }

  /** complaints is why none could be reached; undefined if none has failed, but was only slow. */
  #complaints(): Unavailable | undefined {
    const failed = this.#all.filter(({ complaint }) => complaint !== undefined);
    if (failed.length === 0) {
      return undefined;
    }
    const said = failed.map(({ address, complaint }) => `${address}: ${complaint}`).join("; ");
    return new Unavailable(`no node could be reached: ${said}`, { reason: NOT_APPLIED });
  }
}
