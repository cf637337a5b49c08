import { InvalidArgument, Unauthenticated } from "./errors.js";

/** TokenSource is a token, or gives one whenever a new one is needed. */
export type TokenSource = string | (() => string | Promise<string>);

/** How long before a token expires the next one is asked for, in ms: a call takes time to arrive, and clocks differ. */
const AHEAD_MS = 30_000;

/** Token keeps the token that calls show. */
export class Token {
  readonly #source: TokenSource | undefined;
  #current: string | undefined;
  #expires = Infinity; // in ms since 1970
  #coming: Promise<string> | undefined; // the next one, while it is awaited

  constructor(source: TokenSource | undefined) {
    if (source !== undefined && typeof source !== "function" && tidy(source) === undefined) {
      throw new InvalidArgument("jwtToken must be a token, or a function that gives one");
    }
    this.#source = typeof source === "function" ? source : tidy(source);
  }

  /** get returns the token to show, or undefined if there is none at all. */
  async get(): Promise<string | undefined> {
    if (typeof this.#source !== "function") {
      return this.#source;
    }
    if (this.#current !== undefined && Date.now() < this.#expires - AHEAD_MS) {
      return this.#current;
    }
    this.#coming ??= this.#ask(this.#source).finally(() => (this.#coming = undefined));
    return await this.#coming;
  }

  /** refused takes note that the server did not accept a token: the next call asks for another. */
  refused(token: string | undefined): void {
    if (this.#current === token) {
      this.#current = undefined;
    }
  }

  async #ask(source: () => string | Promise<string>): Promise<string> {
    let token: string | undefined;
    try {
      token = tidy(await source());
    } catch (cause) {
      throw new Unauthenticated(`the function that gives tokens has failed: ${messageOf(cause)}`, { cause });
    }
    if (token === undefined) {
      throw new Unauthenticated("the function that gives tokens gave none");
    }
    this.#current = token;
    this.#expires = expiryOf(token);
    return token;
  }
}

/** tidy returns a token without the white space around it, as a file has it, or undefined if it is none. */
function tidy(token: unknown): string | undefined {
  const trimmed = typeof token === "string" ? token.trim() : "";
  return /^[\x21-\x7e]+$/.test(trimmed) ? trimmed : undefined;
}

/** expiryOf reads when a token expires, in ms since 1970. Who cannot read it learns from the server. */
function expiryOf(token: string): number {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString());
    const expiry = (claims as { exp?: unknown }).exp;
    return typeof expiry === "number" ? expiry * 1000 : Infinity;
  } catch {
    return Infinity;
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
