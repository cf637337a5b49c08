import { Cancelled, DeadlineExceeded, InvalidArgument, NOT_APPLIED, PrimatomicError } from "./errors.js";

/** The longest time that a timer of JavaScript takes, in ms. */
const TIMEOUT_MAX = 2 ** 31 - 1;

/** Limit bounds a call in time, and ends it early if its caller gives it up. It must be released. */
export class Limit {
  /** When the time is over, in ms since 1970. */
  readonly deadline: number;
  /** Resolves when the time is over or the caller has given up. */
  readonly over: Promise<void>;
  readonly #timeoutMs: number;
  readonly #signal: AbortSignal | undefined;
  readonly #release: () => void;
  #ended = false;

  constructor(timeoutMs: number, signal: AbortSignal | undefined) {
    this.deadline = Date.now() + checkTimeout(timeoutMs);
    this.#timeoutMs = timeoutMs;
    this.#signal = signal;
    let end!: () => void;
    this.over = new Promise((resolve) => {
      end = () => {
        this.#ended = true;
        resolve();
      };
    });
    const timer = setTimeout(end, timeoutMs);
    signal?.addEventListener("abort", end);
    this.#release = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
    };
    if (signal?.aborted) {
      end();
    }
  }

  /** Whether the call is to end. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Whether its caller has given the call up. */
  get aborted(): boolean {
    return this.#signal?.aborted ?? false;
  }

  /**
   * refusal is the error of a call that ended before it was sent. Where an earlier attempt was refused, or no node
   * could be reached, that is the better answer than that the time is over.
   */
  refusal(earlier: PrimatomicError | undefined): PrimatomicError {
    if (this.aborted) {
      return new Cancelled("the call was given up before it was sent", {
        reason: NOT_APPLIED, cause: this.#signal?.reason,
      });
    }
    const said = `the ${this.#timeoutMs} ms of the call were over before it was sent`;
    return earlier ?? new DeadlineExceeded(said, { reason: NOT_APPLIED });
  }

  /** cancelled is the error of a call that its caller has given up after it was sent. */
  cancelled(): Cancelled {
    return new Cancelled("the call was given up", { cause: this.#signal?.reason });
  }

  /** within waits for something, and returns undefined if the call is to end before it has come. */
  async within<T>(something: Promise<T>): Promise<T | undefined> {
    return await Promise.race([something, this.over.then(() => undefined)]);
  }

  /** pause waits for a time in ms, or for the end. */
  async pause(ms: number): Promise<void> {
    let timer!: NodeJS.Timeout;
    await this.within(new Promise((resolve) => (timer = setTimeout(resolve, ms))));
    clearTimeout(timer);
  }

  /** release lets go of the timer and the signal. */
  release(): void {
    this.#release();
  }
}

/** checkTimeout refuses what is no time in ms. */
export function checkTimeout(timeoutMs: number): number {
  if (typeof timeoutMs !== "number" || !(timeoutMs > 0 && timeoutMs <= TIMEOUT_MAX)) {
    throw new InvalidArgument(`timeoutMs must be a number of milliseconds above 0, up to ${TIMEOUT_MAX}`);
  }
  return timeoutMs;
}
