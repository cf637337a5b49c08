import { Caller, type Manner } from "./caller.js";
import { type Call, Endpoint } from "./endpoint.js";
import { Endpoints } from "./endpoints.js";
import { InvalidArgument } from "./errors.js";
import { calls, type ListKeysRequest, type ListKeysResponse } from "./messages.js";
import {
  type CallOptions, checkClientOptions, checkOptions, type ClientOptions, credentialsOf, type IterateOptions,
  type ListKeysOptions, type ListOptions, ofCalls, ofLists, ofReads, type PutOptions, type ReadOptions, whole,
} from "./options.js";
import { type Bytes, bytesOf, textOf } from "./text.js";
import { Token } from "./token.js";

const TIMEOUT_MS = 5_000;
const PAGE_SIZE = 1_000;
const VALUE_BYTES_MAX = 16 * 1024 * 1024;

/** Keys that are text, in byte order. The property others holds those that are no UTF-8: mostly none. */
export type TextKeys = string[] & { readonly others: readonly Buffer[] };

/** Swap names what compareAndSwap compares and sets. */
export type Swap = { namespace: string; key: Bytes } & (
  | { expectedValue: Bytes; newValue: Bytes }
  | { expected_value: Bytes; new_value: Bytes }
);

/** NamespaceInfo describes a namespace. */
export interface NamespaceInfo {
  readonly namespace: string;
  /** Keys that have expired and are not yet removed count. */
  readonly keys: bigint;
  /** Of keys and values. */
  readonly bytes: bigint;
  /** Grows by one with every call that changes something. */
  readonly revision: bigint;
}

/**
 * Client makes calls to a store. It connects when it has to, uses one of its endpoints at a time, and goes on at
 * another one when that is gone. Every call returns a promise, which rejects with a PrimatomicError within its time.
 */
export class Client {
  readonly #caller: Caller;
  readonly #timeoutMs: number;

  /** The calls by their names in the API, which other languages use. */
  readonly create_namespace = this.createNamespace;
  readonly get_key = this.getKey;
  readonly put_key = this.putKey;
  readonly delete_key = this.deleteKey;
  readonly list_keys = this.listKeys;
  readonly compare_and_swap = this.compareAndSwap;

  /** endpoints are one "host:port", or several of the same cluster. */
  constructor(endpoints: string | readonly string[], options: ClientOptions = {}) {
    checkClientOptions(options);
    const addresses = typeof endpoints === "string" ? [endpoints] : endpoints;
    if (!Array.isArray(addresses) || addresses.length === 0) {
      throw new InvalidArgument("a client needs an endpoint");
    }
    const credentials = credentialsOf(options);
    const connect = (address: string) => new Endpoint(address, credentials, options.tls?.serverName);
    const token = new Token(options.jwtToken ?? options.jwt_token);
    this.#caller = new Caller(new Endpoints([...new Set<string>(addresses)].map(connect)), token);
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  }

  /**
   * createNamespace registers a namespace to the caller's credential. Asking again succeeds and changes nothing; if it
   * belongs to another credential the call rejects with AlreadyExists.
   */
  async createNamespace(namespace: string, options: CallOptions = {}): Promise<void> {
    checkOptions(options, ofCalls);
    await this.#write(calls.createNamespace, { namespace: named(namespace) }, options);
  }

  /** getKey returns a value. It rejects with NotFound if the key does not exist or has expired. */
  async getKey(namespace: string, key: Bytes, options: ReadOptions = {}): Promise<Buffer> {
    checkOptions(options, ofReads);
    const reply = await this.#read(calls.getKey, { namespace: named(namespace), ...keyed(key) }, options);
    return reply.value;
  }

  /** putKey writes a value, whatever was there before. */
  async putKey(namespace: string, key: Bytes, value: Bytes, options: PutOptions = {}): Promise<void> {
    checkOptions(options, [...ofCalls, "ttlMs", "ttl_ms"]);
    const ttlMs = whole("ttlMs", options.ttlMs ?? options.ttl_ms) ?? 0;
    const request = { namespace: named(namespace), ...keyed(key), value: valueOf("value", value), ttlMs };
    await this.#write(calls.putKey, request, options);
  }

  /** deleteKey removes a key. Removing one that does not exist succeeds. */
  async deleteKey(namespace: string, key: Bytes, options: CallOptions = {}): Promise<void> {
    checkOptions(options, ofCalls);
    await this.#write(calls.deleteKey, { namespace: named(namespace), ...keyed(key) }, options);
  }

  /**
   * listKeys returns keys in byte order. A list that does not fit into one answer (16 MiB) is refused with
   * ResourceExhausted: give a limit, or take iterateKeys. With bytes it returns all keys as bytes.
   */
  async listKeys(namespace: string, options: ListKeysOptions & { bytes: true }): Promise<Buffer[]>;
  async listKeys(namespace: string, options?: ListKeysOptions & { bytes?: false | undefined }): Promise<TextKeys>;
  async listKeys(namespace: string, options: ListKeysOptions = {}): Promise<TextKeys | Buffer[]> {
    checkOptions(options, [...ofLists, "limit"]);
    const limit = whole("limit", options.limit) ?? 0;
    const reply = await this.#read(calls.listKeys, { ...listed(namespace, options), limit }, options);
    if (options.bytes) {
      return exact(reply);
    }
    const others = reply.keysBytes.filter((key) => textOf(key) === undefined);
    return Object.defineProperty(reply.keys, "others", { value: others }) as TextKeys;
  }

  /**
   * iterateKeys goes through keys in byte order, and asks for a page of them at a time, each within the time of a call.
   * A key that is written or removed meanwhile may be met or missed. A key that is no UTF-8 comes as bytes, which every
   * call takes as well; with bytes all do.
   */
  iterateKeys(namespace: string, options: IterateOptions & { bytes: true }): AsyncGenerator<Buffer, void, undefined>;
  iterateKeys(namespace: string, options?: IterateOptions): AsyncGenerator<string | Buffer, void, undefined>;
  async *iterateKeys(
    namespace: string, options: IterateOptions = {},
  ): AsyncGenerator<string | Buffer, void, undefined> {
    checkOptions(options, [...ofLists, "pageSize"]);
    const limit = whole("pageSize", options.pageSize) || PAGE_SIZE;
    let request: ListKeysRequest = { ...listed(namespace, options), limit };
    for (;;) {
      const reply = await this.#read(calls.listKeys, request, options);
      for (const key of exact(reply)) {
        yield options.bytes ? key : (textOf(key) ?? key);
      }
      if (reply.nextStartAfter.length === 0) {
        return;
      }
      request = { ...request, startAfter: reply.nextStartAfter };
    }
  }

  /**
   * compareAndSwap sets a new value only if the current one equals the expected one, and tells whether it has. An empty
   * expected value stands for a key that does not exist, or for an empty value. The time to live stays.
   */
  async compareAndSwap(swap: Swap, options?: CallOptions): Promise<boolean>;
  async compareAndSwap(
    namespace: string, key: Bytes, expectedValue: Bytes, newValue: Bytes, options?: CallOptions,
  ): Promise<boolean>;
  async compareAndSwap(
    first: Swap | string, second: Bytes | CallOptions = {}, expected?: Bytes, value?: Bytes, last: CallOptions = {},
  ): Promise<boolean> {
    const named = typeof first === "object";
    const swap = named ? first : ({ namespace: first, key: second, expectedValue: expected, newValue: value } as Swap);
    const options = named ? (second as CallOptions) : last;
    checkOptions(swap, ["namespace", "key", "expectedValue", "newValue", "expected_value", "new_value"]);
    checkOptions(options, ofCalls);
    return await this.#swap(swap, options);
  }

  /**
   * listNamespaces returns the namespaces of the caller's credential that the token may use: first the databases "0" to
   * "15" that have been written to, then the named ones in byte order.
   */
  async listNamespaces(options: ReadOptions = {}): Promise<string[]> {
    checkOptions(options, ofReads);
    return (await this.#read(calls.listNamespaces, {}, options)).namespaces;
  }

  /** getNamespace describes a namespace. */
  async getNamespace(namespace: string, options: ReadOptions = {}): Promise<NamespaceInfo> {
    checkOptions(options, ofReads);
    const reply = await this.#read(calls.getNamespace, { namespace: named(namespace) }, options);
    return { namespace: reply.namespace, keys: reply.keys, bytes: reply.bytes, revision: reply.revision };
  }

  /** dropNamespace removes a namespace with all its keys. The databases "0" to "15" cannot be dropped. */
  async dropNamespace(namespace: string, options: CallOptions = {}): Promise<void> {
    checkOptions(options, ofCalls);
    await this.#write(calls.dropNamespace, { namespace: named(namespace) }, options);
  }

  /** close takes no more calls, waits for those under way and closes the connections. A process ends without it too. */
  async close(): Promise<void> {
    await this.#caller.close();
  }

  /** For `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #swap(swap: Swap, options: CallOptions): Promise<boolean> {
    const [expected, value] = "expected_value" in swap
      ? [swap.expected_value, swap.new_value]
      : [swap.expectedValue, swap.newValue];
    const request = {
      namespace: named(swap.namespace), ...keyed(swap.key),
      expected: valueOf("expectedValue", expected), newValue: valueOf("newValue", value),
    };
    return (await this.#write(calls.compareAndSwap, request, options)).swapped;
  }

  #read<Request extends object, Reply extends object>(
    call: Call<Request, Reply>, request: Request, options: ReadOptions,
  ): Promise<Reply> {
    return this.#caller.call(call, request, { ...this.#manner(options), reads: true, stale: options.stale ?? false });
  }

  #write<Request extends object, Reply extends object>(
    call: Call<Request, Reply>, request: Request, options: CallOptions,
  ): Promise<Reply> {
    return this.#caller.call(call, request, { ...this.#manner(options), reads: false, stale: false });
  }

  #manner(options: CallOptions): Pick<Manner, "timeoutMs" | "signal"> {
    return { timeoutMs: options.timeoutMs ?? this.#timeoutMs, signal: options.signal };
  }
}

/** named refuses what cannot be a name of a namespace. */
function named(namespace: string): string {
  if (typeof namespace !== "string" || /\p{Surrogate}/u.test(namespace)) {
    throw new InvalidArgument("a namespace must be a string");
  }
  return namespace;
}

/** keyed names a key as text or as bytes, as it is given. */
function keyed(key: Bytes): { key: string } | { keyBytes: Uint8Array } {
  const bytes = bytesOf("key", key);
  return typeof key === "string" ? { key } : { keyBytes: bytes };
}

/** valueOf refuses a value that the store would refuse after all of it has been sent. */
function valueOf(what: string, value: Bytes): Uint8Array {
  const bytes = bytesOf(what, value);
  if (bytes.byteLength > VALUE_BYTES_MAX) {
    throw new InvalidArgument(`${what} is over 16 MiB`, { reason: "TOO_LARGE" });
  }
  return bytes;
}

function listed(namespace: string, options: ListOptions): ListKeysRequest {
  return {
    namespace: named(namespace),
    prefixBytes: bytesOf("prefix", options.prefix ?? ""),
    startAfter: bytesOf("startAfter", options.startAfter ?? ""),
  };
}

/** exact is all keys of a list. Those that are no text are only among keysBytes, which then holds all. */
function exact(reply: ListKeysResponse): Buffer[] {
  return reply.keysBytes.length > 0 ? reply.keysBytes : reply.keys.map((key) => Buffer.from(key));
}
