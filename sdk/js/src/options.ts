import { ChannelCredentials } from "@grpc/grpc-js";

import { InvalidArgument } from "./errors.js";
import { checkTimeout } from "./limit.js";
import type { TokenSource } from "./token.js";

/** How a client connects, and who it is. */
export interface ClientOptions {
  /**
   * The JSON Web Token to show, or a function that gives one: it is called for the first token, 30 s before the one it
   * gave expires, and after the server has refused one. None: the server must be one without authentication.
   */
  jwtToken?: TokenSource | undefined;
  /** The same by its name in the API. */
  jwt_token?: TokenSource | undefined;
  /** Connect without TLS, for a local node. Who is on the way can read and change all that is sent, the token too. */
  insecure?: boolean | undefined;
  /** TLS other than with the authorities that Node trusts and no certificate of the client. */
  tls?: TLSOptions | undefined;
  /** How long a call may take that does not say so itself, in ms; 5000 if it is not given. */
  timeoutMs?: number | undefined;
}

/** TLSOptions are in PEM. */
export interface TLSOptions {
  /** Authorities to trust, in place of those that Node trusts. */
  ca?: string | Uint8Array | undefined;
  /** The client's certificate, and its key. */
  cert?: string | Uint8Array | undefined;
  key?: string | Uint8Array | undefined;
  /** The name that the server's certificate must be for, if it is not the host of the endpoint. */
  serverName?: string | undefined;
}

/** Options that every call takes. */
export interface CallOptions {
  /** How long the call may take, in ms, with all that is done to have it succeed. */
  timeoutMs?: number | undefined;
  /** Gives the call up: it rejects with Cancelled. A write that was sent may be applied nevertheless. */
  signal?: AbortSignal | undefined;
}

/** Options of calls that read. */
export interface ReadOptions extends CallOptions {
  /** Take what the node's memory holds, which may be older than what was acknowledged. It needs no leader. */
  stale?: boolean | undefined;
}

/** Options of putKey. */
export interface PutOptions extends CallOptions {
  /** Milliseconds until the key expires. Absent or 0: never, an earlier time to live is dropped. */
  ttlMs?: number | bigint | undefined;
  /** The same by its name in the API. */
  ttl_ms?: number | bigint | undefined;
}

/** Options of lists. */
export interface ListOptions extends ReadOptions {
  /** Only keys that begin with this. */
  prefix?: string | Uint8Array | undefined;
  /** Only keys behind this one, in byte order. */
  startAfter?: string | Uint8Array | undefined;
  /** Give the keys as bytes. */
  bytes?: boolean | undefined;
}

/** Options of listKeys. */
export interface ListKeysOptions extends ListOptions {
  /** So many keys at most; absent or 0: all. */
  limit?: number | bigint | undefined;
}

/** Options of iterateKeys. */
export interface IterateOptions extends ListOptions {
  /** So many keys are asked for at once; 1000 if it is not given. */
  pageSize?: number | undefined;
}

/** What every call takes, and what reads take. */
export const ofCalls = ["timeoutMs", "signal"] as const;
export const ofReads = [...ofCalls, "stale"] as const;
export const ofLists = [...ofReads, "prefix", "startAfter", "bytes"] as const;

/** checkOptions refuses options that there are not: a time to live that is misspelt would be none. */
export function checkOptions(options: object, known: readonly string[]): void {
  if (typeof options !== "object" || options === null) {
    throw new InvalidArgument("options must be an object");
  }
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new InvalidArgument(`there is no option ${unknown} here, but ${known.join(", ")}`);
  }
}

/** checkClientOptions refuses options of a client that there are not, or that contradict each other. */
export function checkClientOptions(options: ClientOptions): void {
  checkOptions(options, ["jwtToken", "jwt_token", "insecure", "tls", "timeoutMs"]);
  checkOptions(options.tls ?? {}, ["ca", "cert", "key", "serverName"]);
  if (options.insecure && options.tls !== undefined) {
    throw new InvalidArgument("insecure means without TLS: give one of insecure and tls");
  }
  if ((options.tls?.cert === undefined) !== (options.tls?.key === undefined)) {
    throw new InvalidArgument("tls.cert and tls.key belong together");
  }
  checkTimeout(options.timeoutMs ?? 1);
}

/** credentialsOf makes what connections are secured with. */
export function credentialsOf(options: ClientOptions): ChannelCredentials {
  if (options.insecure) {
    return ChannelCredentials.createInsecure();
  }
  const pem = (given: string | Uint8Array | undefined) => (given === undefined ? null : Buffer.from(given));
  const { ca, cert, key } = options.tls ?? {};
  try {
    return ChannelCredentials.createSsl(pem(ca), pem(key), pem(cert));
  } catch (cause) {
    throw new InvalidArgument(`tls: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

/** whole refuses what is no number of ms or of keys. The API holds them in 64 bits. */
export function whole(what: string, given: number | bigint | undefined): number | bigint | undefined {
  const fits = typeof given === "bigint" ? given < 2n ** 64n : Number.isSafeInteger(given);
  if (given !== undefined && !(fits && given >= 0)) {
    throw new InvalidArgument(`${what} must be a whole number, and not negative`);
  }
  return given;
}
