export { Client, type NamespaceInfo, type Swap, type TextKeys } from "./client.js";
export type { Detail, ErrorInfo } from "./details.js";
export {
  AlreadyExists, Cancelled, DeadlineExceeded, FailedPrecondition, Internal, InvalidArgument, NotFound, PermissionDenied,
  PrimatomicError, ResourceExhausted, Unauthenticated, Unavailable, Unimplemented,
} from "./errors.js";
export type {
  CallOptions, ClientOptions, IterateOptions, ListKeysOptions, ListOptions, PutOptions, ReadOptions, TLSOptions,
} from "./options.js";
export type { Bytes } from "./text.js";
export type { TokenSource } from "./token.js";
