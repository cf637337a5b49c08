import { Metadata, status as Code } from "@grpc/grpc-js";

import { type Detail, detailsIn, infoIn } from "./details.js";

/** The reason of a refusal after which certainly nothing has happened: the same call may be sent again. */
export const NOT_APPLIED = "NOT_APPLIED";

/** Domain of the reasons that the store gives. */
const DOMAIN = "primatomic";

/** What an error may carry. */
export interface ErrorParts {
  /** Machine-readable cause; "" if there is none. */
  reason?: string;
  details?: readonly Detail[];
  cause?: unknown;
}

/** PrimatomicError is what every failed call rejects with, as one of the classes below. */
export class PrimatomicError extends Error {
  /** The gRPC code: 5 for NotFound, for example. */
  readonly code: number;
  /** Machine-readable cause, such as NO_KEY, NO_NAMESPACE or NOT_APPLIED; "" if the error has none. */
  readonly reason: string;
  /** All that the server has sent along, the message with the reason included. */
  readonly details: readonly Detail[];

  static {
    this.prototype.name = "PrimatomicError"; // on the prototype, so that stacks begin with it
  }

  constructor(code: number, message: string, parts: ErrorParts = {}) {
    super(message, parts.cause === undefined ? undefined : { cause: parts.cause });
    this.code = code;
    this.reason = parts.reason ?? "";
    this.details = parts.details ?? [];
  }

  /** Whether certainly nothing has happened, and the same call may succeed when it is made again. */
  get notApplied(): boolean {
    return this.reason === NOT_APPLIED;
  }

  /**
   * Whether a write may or may not have been applied, or be applied in a moment. Read before you repeat it, or write so
   * that twice is as good as once. Of a call that only reads it says nothing.
   */
  get outcomeUnknown(): boolean {
    return !this.notApplied && unsure.has(this.code);
  }
}

/** Codes that may come after a write has been sent, and say nothing about what became of it. */
const unsure: ReadonlySet<number> = new Set([
  Code.CANCELLED, Code.UNKNOWN, Code.DEADLINE_EXCEEDED, Code.INTERNAL, Code.UNAVAILABLE, Code.DATA_LOSS,
]);

/** Cancelled: the call was given up by its AbortSignal, whose reason is the cause, or the client is closed. */
export class Cancelled extends PrimatomicError {
  static {
    this.prototype.name = "Cancelled";
  }

  constructor(message: string, parts?: ErrorParts) {
    super(Code.CANCELLED, message, parts);
  }
}

/** InvalidArgument: a key is empty or over 1 KiB, a value over 16 MiB, a name, a number or an option is none. */
export class InvalidArgument extends PrimatomicError {
  static {
    this.prototype.name = "InvalidArgument";
  }

  constructor(message: string, parts?: ErrorParts) {
    super(Code.INVALID_ARGUMENT, message, parts);
  }
}

/** DeadlineExceeded: the time was over. Unless notApplied, a write may or may not have been applied. */
export class DeadlineExceeded extends PrimatomicError {
  static {
    this.prototype.name = "DeadlineExceeded";
  }

  constructor(message: string, parts?: ErrorParts) {
    super(Code.DEADLINE_EXCEEDED, message, parts);
  }
}

/** NotFound: there is no such key (reason NO_KEY) or no such namespace (NO_NAMESPACE). */
export class NotFound extends PrimatomicError {
  static {
    this.prototype.name = "NotFound";
  }

  constructor(message: string, parts?: ErrorParts) {
    super(Code.NOT_FOUND, message, parts);
  }
}

/** AlreadyExists: the namespace belongs to another credential. */
export class AlreadyExists extends PrimatomicError {
  static {
    this.prototype.name = "AlreadyExists";
  }

  constructor(message: string, parts?: ErrorParts) {
    super(Code.ALREADY_EXISTS, message, parts);
  }
}

/** PermissionDenied: the token is valid, but not for this namespace or not for this call. */
export class PermissionDenied extends PrimatomicError {
  static {
    this.prototype.name = "PermissionDenied";
  }

  constructor(message: string, parts?: ErrorParts) {
    super(Code.PERMISSION_DENIED, message, parts);
  }
}

/** ResourceExhausted: a quota, memory or disk is full, or a list does not fit into one answer: read it in pages. */
export class ResourceExhausted extends PrimatomicError {
  static {
    this.prototype.name = "ResourceExhausted";
  }

  constructor(message: string, parts?: ErrorParts) {
    super(Code.RESOURCE_EXHAUSTED, message, parts);
  }
}

/** FailedPrecondition: the value is not a string. */
export class FailedPrecondition extends PrimatomicError {
  static {
    this.prototype.name = "FailedPrecondition";
  }

  constructor(message: string, parts?: ErrorParts) {
    super(Code.FAILED_PRECONDITION, message, parts);
  }
}

/** Unimplemented: the server is older than this call, or is no primatomic. */
export class Unimplemented extends PrimatomicError {
  static {
    this.prototype.name = "Unimplemented";
  }

  constructor(message: string, parts?: ErrorParts) {
    super(Code.UNIMPLEMENTED, message, parts);
  }
}

/** Internal: a fault of the server, or of the library beneath. A write may or may not have been applied. */
export class Internal extends PrimatomicError {
  static {
    this.prototype.name = "Internal";
  }

  constructor(message: string, parts?: ErrorParts) {
    super(Code.INTERNAL, message, parts);
  }
}

/**
 * Unavailable: no node could be reached or none leads (notApplied), or a connection has broken while the call was under
 * way: then a write may or may not have been applied.
 */
export class Unavailable extends PrimatomicError {
  static {
    this.prototype.name = "Unavailable";
  }

  constructor(message: string, parts?: ErrorParts) {
    super(Code.UNAVAILABLE, message, parts);
  }
}

/** Unauthenticated: no token, or one that does not verify or has expired. */
export class Unauthenticated extends PrimatomicError {
  static {
    this.prototype.name = "Unauthenticated";
  }

  constructor(message: string, parts?: ErrorParts) {
    super(Code.UNAUTHENTICATED, message, parts);
  }
}

/** The classes by code. A code without one is a PrimatomicError. */
const classes = new Map<number, new (message: string, parts?: ErrorParts) => PrimatomicError>([
  [Code.CANCELLED, Cancelled],
  [Code.INVALID_ARGUMENT, InvalidArgument],
  [Code.DEADLINE_EXCEEDED, DeadlineExceeded],
  [Code.NOT_FOUND, NotFound],
  [Code.ALREADY_EXISTS, AlreadyExists],
  [Code.PERMISSION_DENIED, PermissionDenied],
  [Code.RESOURCE_EXHAUSTED, ResourceExhausted],
  [Code.FAILED_PRECONDITION, FailedPrecondition],
  [Code.UNIMPLEMENTED, Unimplemented],
  [Code.INTERNAL, Internal],
  [Code.UNAVAILABLE, Unavailable],
  [Code.UNAUTHENTICATED, Unauthenticated],
]);

/** ServerStatus is how the gRPC library tells of a call that has failed. */
export interface ServerStatus {
  readonly code: number;
  readonly details: string;
  readonly metadata: Metadata;
}

/** errorOf makes the error of a failed call. */
export function errorOf(status: ServerStatus): PrimatomicError {
  const [encoded] = status.metadata.get("grpc-status-details-bin");
  const details = detailsIn(encoded instanceof Buffer ? encoded : undefined);
  const info = infoIn(details);
  const parts = { details, reason: info?.domain === DOMAIN ? info.reason : "" };
  const { code, details: message } = status;
  const Known = classes.get(code);
  return Known === undefined ? new PrimatomicError(code, message, parts) : new Known(message, parts);
}
