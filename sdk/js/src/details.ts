import { Message } from "./message.js";

/** ErrorInfo is the machine-readable cause of an error: a google.rpc.ErrorInfo. */
export interface ErrorInfo {
  /** For example NO_KEY or NOT_APPLIED. */
  readonly reason: string;
  /** Who says so: "primatomic" for all errors of the store. */
  readonly domain: string;
}

/** Detail is what an error carries beside its code, as it was sent. */
export interface Detail {
  /** Name of the protobuf message, such as "google.rpc.ErrorInfo". */
  readonly type: string;
  /** The message itself. */
  readonly value: Uint8Array;
}

interface Wrapped {
  typeUrl: string;
  value: Buffer;
}

const anyMessage = new Message<Wrapped>([
  { number: 1, name: "typeUrl", kind: "string", times: "one" },
  { number: 2, name: "value", kind: "bytes", times: "one" },
]);

const statusMessage = new Message<{ details: Wrapped[] }>([
  { number: 3, name: "details", kind: anyMessage, times: "many" },
]);

const errorInfoMessage = new Message<ErrorInfo>([
  { number: 1, name: "reason", kind: "string", times: "one" },
  { number: 2, name: "domain", kind: "string", times: "one" },
]);

/** detailsIn reads a google.rpc.Status, as failed calls have it in their trailers. Of an unreadable one it makes none. */
export function detailsIn(status: Buffer | undefined): Detail[] {
  if (status === undefined) {
    return [];
  }
  try {
    return statusMessage.decode(status).details.map(({ typeUrl, value }) => ({
      type: typeUrl.slice(typeUrl.lastIndexOf("/") + 1),
      value,
    }));
  } catch {
    return [];
  }
}

/** infoIn finds the cause among details. */
export function infoIn(details: readonly Detail[]): ErrorInfo | undefined {
  const found = details.find(({ type }) => type === "google.rpc.ErrorInfo");
  if (found === undefined) {
    return undefined;
  }
  try {
    return errorInfoMessage.decode(Buffer.from(found.value));
  } catch {
    return undefined;
  }
}
