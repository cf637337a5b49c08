import { Metadata } from "@grpc/grpc-js";

import type { Call } from "./endpoint.js";
import type { Endpoints } from "./endpoints.js";
import { Cancelled, DeadlineExceeded, NOT_APPLIED, PrimatomicError, Unauthenticated, Unavailable } from "./errors.js";
import { Limit } from "./limit.js";
import type { Token } from "./token.js";

/** The first pause before a call is made again, in ms. Each one is up to twice as long as the one before. */
const PAUSE_MS = 20;

/** The longest pause, in ms. */
const PAUSE_MAX_MS = 500;

/** How a call is made. */
export interface Manner {
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /** Whether it changes nothing, so that it may be made again whatever became of it. */
  readonly reads: boolean;
  /** Whether whatever the node's memory holds is good enough. */
  readonly stale: boolean;
}

/** Caller makes calls, and makes them again where nothing can go wrong by that. */
export class Caller {
  readonly #endpoints: Endpoints;
  readonly #token: Token;
  readonly #running = new Set<Promise<unknown>>();
  #closed = false;

  constructor(endpoints: Endpoints, token: Token) {
    this.#endpoints = endpoints;
    this.#token = token;
  }

  /** call makes a call, and returns the reply or throws a PrimatomicError. */
  async call<Request extends object, Reply extends object>(
    call: Call<Request, Reply>, request: Request, manner: Manner,
  ): Promise<Reply> {
    if (this.#closed) {
      throw new Cancelled("the client is closed", { reason: NOT_APPLIED });
    }
    const running = this.#within(call, call.request.encode(request), manner);
    this.#running.add(running);
    try {
      return await running;
    } catch (failed) {
      if (failed instanceof PrimatomicError) {
        Error.captureStackTrace(failed); // from here it leads to who has made the call, and not into the library
      }
      throw failed;
    } finally {
      this.#running.delete(running);
    }
  }

  /** close takes no more calls, waits for those under way, which end in their time, and closes the connections. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#running);
    this.#endpoints.close();
  }

  async #within<Reply extends object>(call: Call<object, Reply>, request: Buffer, manner: Manner): Promise<Reply> {
    const limit = new Limit(manner.timeoutMs, manner.signal);
    try {
      return await this.#attempts(call, request, manner, limit);
    } finally {
      limit.release();
    }
  }

  /**
   * attempts sends a call until it is answered. After a refusal that says NOT_APPLIED it is sent again, and also to
   * another node. A write that was sent and may have been applied is never sent again.
   */
  async #attempts<Reply extends object>(
    call: Call<object, Reply>, request: Buffer, manner: Manner, limit: Limit,
  ): Promise<Reply> {
    let earlier: PrimatomicError | undefined;
    for (let pause = PAUSE_MS; ; pause = Math.min(2 * pause, PAUSE_MAX_MS)) {
      const token = await limit.within(this.#token.get());
      if (limit.ended) {
        throw limit.refusal(earlier);
      }
      const endpoint = await this.#endpoints.connected(limit);
      try {
        return await endpoint.send(call, request, metadata(token, manner), limit);
      } catch (failed) {
        if (failed instanceof Unauthenticated) {
          this.#token.refused(token);
        }
        if (failed instanceof Unavailable || failed instanceof DeadlineExceeded) {
          this.#endpoints.leave(endpoint);
        }
        if (!(failed instanceof Unavailable && (failed.notApplied || manner.reads))) {
          throw failed;
        }
        earlier = failed;
      }
      await limit.pause(pause * (0.5 + Math.random() / 2));
    }
  }
}

/** metadata is what is sent along with a call. */
function metadata(token: string | undefined, manner: Manner): Metadata {
  const sent = new Metadata();
  if (token !== undefined) {
    sent.set("authorization", `Bearer ${token}`);
  }
  if (manner.stale) {
    sent.set("primatomic-consistency", "stale");
  }
  return sent;
}
