import { type ChannelCredentials, Client, connectivityState, Metadata, status as Code } from "@grpc/grpc-js";

import { errorOf, InvalidArgument, type ServerStatus, Unavailable } from "./errors.js";
import type { Limit } from "./limit.js";
import type { Message } from "./message.js";

/** Call is a method of the service. */
export interface Call<Request extends object, Reply extends object> {
  readonly path: string;
  readonly request: Message<Request>;
  readonly reply: Message<Reply>;
}

/** Two values of 16 MiB and the rest: the largest message that the API has. */
const MESSAGE_BYTES_MAX = 32 * 1024 * 1024 + 64 * 1024;

const settings = {
  "grpc.max_send_message_length": MESSAGE_BYTES_MAX,
  "grpc.max_receive_message_length": MESSAGE_BYTES_MAX,
  "grpc.primary_user_agent": "primatomic-js",
  // A node that has died without a word is noticed while calls wait for it. Servers bear a ping every 5 s.
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 5_000,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 2_000,
  // Else whoever answers DNS could order retries, and those of writes with an unknown outcome among them.
  "grpc.service_config_disable_resolution": 1,
  "grpc.enable_channelz": 0,
};

/** What may be said by a server that was reached, to a question about its health. */
const answers: ReadonlySet<number> = new Set([
  Code.OK, Code.NOT_FOUND, Code.UNIMPLEMENTED, Code.UNAUTHENTICATED, Code.PERMISSION_DENIED,
]);

/** Endpoint is an address, and the connection there as long as there is one. */
export class Endpoint {
  readonly address: string;
  readonly #client: Client;
  #complaint: string | undefined;

  /** The server's certificate must be for serverName, or for the host of the address if that is undefined. */
  constructor(address: string, credentials: ChannelCredentials, serverName: string | undefined) {
    checkAddress(address);
    this.address = address;
    const named = serverName === undefined ? {} : { "grpc.ssl_target_name_override": serverName };
    this.#client = new Client(`dns:${address}`, credentials, { ...settings, ...named });
  }

  /** Whether there is a connection. */
  get ready(): boolean {
    return this.#client.getChannel().getConnectivityState(false) === connectivityState.READY;
  }

  /** Why the server could not be reached the last time; undefined if it could, or was not tried yet. */
  get complaint(): string | undefined {
    return this.#complaint;
  }

  /** reach connects if need be, and has the server answer. It throws if that fails, is stopped or takes too long. */
  async reach(deadline: number, stop: AbortSignal): Promise<void> {
    const status = await new Promise<ServerStatus | undefined>((resolve) => {
      const ignored = () => undefined;
      const health = this.#client.makeUnaryRequest(
        "/grpc.health.v1.Health/Check", unchanged, ignored, Buffer.alloc(0), new Metadata(), { deadline },
        (failed) => resolve(failed ?? undefined),
      );
      stop.addEventListener("abort", () => health.cancel(), { once: true });
    });
    if (status === undefined || answers.has(status.code)) {
      this.#complaint = undefined;
      return;
    }
    if (status.code !== Code.DEADLINE_EXCEEDED && status.code !== Code.CANCELLED) {
      this.#complaint = plain(status.details);
    }
    throw errorOf(status);
  }

  /** send sends a call, once. */
  send<Reply extends object>(
    call: Call<object, Reply>, request: Buffer, metadata: Metadata, limit: Limit,
  ): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const decode = (bytes: Buffer) => call.reply.decode(bytes);
      const { deadline } = limit;
      const sent = this.#client.makeUnaryRequest(
        call.path, unchanged, decode, request, metadata, { deadline },
        (failed, reply) => {
          if (failed) {
            reject(failureOf(failed, limit));
          } else {
            resolve(reply as Reply);
          }
        },
      );
      void limit.over.then(() => {
        if (limit.aborted) {
          sent.cancel();
        }
      });
    });
  }

  /** close closes the connection. */
  close(): void {
    this.#client.close();
  }
}

/** failureOf makes the error of a call that was sent. */
function failureOf(status: ServerStatus, limit: Limit): Error {
  if (status.code !== Code.CANCELLED) {
    return errorOf(status);
  }
  // Nobody but the caller cancels calls. Node gives that code to those of a connection that breaks.
  return limit.aborted ? limit.cancelled() : new Unavailable(`the connection has broken: ${status.details}`);
}

/** plain is the library's word on a connection that failed, without what it says of all of them. */
function plain(details: string): string {
  return details.replace(/^No connection established\. Last error: /, "").replace(/\s*\. Resolution note: $/, "");
}

function unchanged(bytes: Buffer): Buffer {
  return bytes;
}

/** checkAddress refuses what is not host:port. */
function checkAddress(address: unknown): void {
  const shape = /^(?:[^\s:/[\]]+|\[[0-9a-fA-F:.]+\]):([0-9]{1,5})$/;
  const port = typeof address === "string" ? Number(shape.exec(address)?.[1]) : NaN;
  if (!(port >= 1 && port <= 65535)) {
    throw new InvalidArgument(`an endpoint must be "host:port", and not ${JSON.stringify(address)}`);
  }
}
