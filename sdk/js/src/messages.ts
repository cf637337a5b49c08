// Written by generate.mjs from keyvalue.proto. Do not edit.
import { Message } from "./message.js";

export type Status = {
  code: number;
  message: string;
};

export const StatusMessage = new Message<Status>([
  { number: 1, name: "code", kind: "int32", times: "one" },
  { number: 2, name: "message", kind: "string", times: "one" },
]);

export type CreateNamespaceRequest = {
  namespace?: string;
};

export const CreateNamespaceRequestMessage = new Message<CreateNamespaceRequest>([
  { number: 1, name: "namespace", kind: "string", times: "one" },
]);

export type CreateNamespaceResponse = {
  namespace: string;
  status?: Status;
};

export const CreateNamespaceResponseMessage = new Message<CreateNamespaceResponse>([
  { number: 1, name: "namespace", kind: "string", times: "one" },
  { number: 2, name: "status", kind: StatusMessage, times: "maybe" },
]);

export type GetKeyRequest = {
  key?: string;
  namespace?: string;
  keyBytes?: Uint8Array;
};

export const GetKeyRequestMessage = new Message<GetKeyRequest>([
  { number: 1, name: "key", kind: "string", times: "one" },
  { number: 2, name: "namespace", kind: "string", times: "one" },
  { number: 3, name: "keyBytes", kind: "bytes", times: "one" },
]);

export type GetKeyResponse = {
  key: string;
  namespace: string;
  value: Buffer;
  status?: Status;
  keyBytes: Buffer;
};

export const GetKeyResponseMessage = new Message<GetKeyResponse>([
  { number: 1, name: "key", kind: "string", times: "one" },
  { number: 2, name: "namespace", kind: "string", times: "one" },
  { number: 3, name: "value", kind: "bytes", times: "one" },
  { number: 4, name: "status", kind: StatusMessage, times: "maybe" },
  { number: 5, name: "keyBytes", kind: "bytes", times: "one" },
]);

export type PutKeyRequest = {
  key?: string;
  namespace?: string;
  value?: Uint8Array;
  ttlMs?: bigint | number;
  keyBytes?: Uint8Array;
};

export const PutKeyRequestMessage = new Message<PutKeyRequest>([
  { number: 1, name: "key", kind: "string", times: "one" },
  { number: 2, name: "namespace", kind: "string", times: "one" },
  { number: 3, name: "value", kind: "bytes", times: "one" },
  { number: 4, name: "ttlMs", kind: "uint64", times: "maybe" },
  { number: 5, name: "keyBytes", kind: "bytes", times: "one" },
]);

export type PutKeyResponse = {
  key: string;
  status?: Status;
  keyBytes: Buffer;
};

export const PutKeyResponseMessage = new Message<PutKeyResponse>([
  { number: 1, name: "key", kind: "string", times: "one" },
  { number: 2, name: "status", kind: StatusMessage, times: "maybe" },
  { number: 3, name: "keyBytes", kind: "bytes", times: "one" },
]);

export type DeleteKeyRequest = {
  key?: string;
  namespace?: string;
  keyBytes?: Uint8Array;
};

export const DeleteKeyRequestMessage = new Message<DeleteKeyRequest>([
  { number: 1, name: "key", kind: "string", times: "one" },
  { number: 2, name: "namespace", kind: "string", times: "one" },
  { number: 3, name: "keyBytes", kind: "bytes", times: "one" },
]);

export type DeleteKeyResponse = {
  key: string;
  status?: Status;
  keyBytes: Buffer;
};

export const DeleteKeyResponseMessage = new Message<DeleteKeyResponse>([
  { number: 1, name: "key", kind: "string", times: "one" },
  { number: 2, name: "status", kind: StatusMessage, times: "maybe" },
  { number: 3, name: "keyBytes", kind: "bytes", times: "one" },
]);

export type ListKeysRequest = {
  prefix?: string;
  namespace?: string;
  limit?: bigint | number;
  prefixBytes?: Uint8Array;
  startAfter?: Uint8Array;
};

export const ListKeysRequestMessage = new Message<ListKeysRequest>([
  { number: 1, name: "prefix", kind: "string", times: "one" },
  { number: 2, name: "namespace", kind: "string", times: "one" },
  { number: 3, name: "limit", kind: "uint64", times: "maybe" },
  { number: 4, name: "prefixBytes", kind: "bytes", times: "one" },
  { number: 5, name: "startAfter", kind: "bytes", times: "one" },
]);

export type ListKeysResponse = {
  keys: string[];
  status?: Status;
  keysBytes: Buffer[];
  nextStartAfter: Buffer;
};

export const ListKeysResponseMessage = new Message<ListKeysResponse>([
  { number: 1, name: "keys", kind: "string", times: "many" },
  { number: 2, name: "status", kind: StatusMessage, times: "maybe" },
  { number: 3, name: "keysBytes", kind: "bytes", times: "many" },
  { number: 4, name: "nextStartAfter", kind: "bytes", times: "one" },
]);

export type CompareAndSwapRequest = {
  key?: string;
  namespace?: string;
  expected?: Uint8Array;
  newValue?: Uint8Array;
  keyBytes?: Uint8Array;
};

export const CompareAndSwapRequestMessage = new Message<CompareAndSwapRequest>([
  { number: 1, name: "key", kind: "string", times: "one" },
  { number: 2, name: "namespace", kind: "string", times: "one" },
  { number: 3, name: "expected", kind: "bytes", times: "one" },
  { number: 4, name: "newValue", kind: "bytes", times: "one" },
  { number: 5, name: "keyBytes", kind: "bytes", times: "one" },
]);

export type CompareAndSwapResponse = {
  key: string;
  namespace: string;
  swapped: boolean;
  status?: Status;
  keyBytes: Buffer;
};

export const CompareAndSwapResponseMessage = new Message<CompareAndSwapResponse>([
  { number: 1, name: "key", kind: "string", times: "one" },
  { number: 2, name: "namespace", kind: "string", times: "one" },
  { number: 3, name: "swapped", kind: "bool", times: "one" },
  { number: 4, name: "status", kind: StatusMessage, times: "maybe" },
  { number: 5, name: "keyBytes", kind: "bytes", times: "one" },
]);

export type ListNamespacesRequest = Record<string, never>;

export const ListNamespacesRequestMessage = new Message<ListNamespacesRequest>([]);

export type ListNamespacesResponse = {
  namespaces: string[];
  status?: Status;
};

export const ListNamespacesResponseMessage = new Message<ListNamespacesResponse>([
  { number: 1, name: "namespaces", kind: "string", times: "many" },
  { number: 2, name: "status", kind: StatusMessage, times: "maybe" },
]);

export type GetNamespaceRequest = {
  namespace?: string;
};

export const GetNamespaceRequestMessage = new Message<GetNamespaceRequest>([
  { number: 1, name: "namespace", kind: "string", times: "one" },
]);

export type GetNamespaceResponse = {
  namespace: string;
  status?: Status;
  keys: bigint;
  bytes: bigint;
  revision: bigint;
};

export const GetNamespaceResponseMessage = new Message<GetNamespaceResponse>([
  { number: 1, name: "namespace", kind: "string", times: "one" },
  { number: 2, name: "status", kind: StatusMessage, times: "maybe" },
  { number: 3, name: "keys", kind: "uint64", times: "one" },
  { number: 4, name: "bytes", kind: "uint64", times: "one" },
  { number: 5, name: "revision", kind: "uint64", times: "one" },
]);

export type DropNamespaceRequest = {
  namespace?: string;
};

export const DropNamespaceRequestMessage = new Message<DropNamespaceRequest>([
  { number: 1, name: "namespace", kind: "string", times: "one" },
]);

export type DropNamespaceResponse = {
  namespace: string;
  status?: Status;
};

export const DropNamespaceResponseMessage = new Message<DropNamespaceResponse>([
  { number: 1, name: "namespace", kind: "string", times: "one" },
  { number: 2, name: "status", kind: StatusMessage, times: "maybe" },
]);

export const calls = {
  createNamespace: {
    path: "/primatomic.v1.KeyValue/CreateNamespace",
    request: CreateNamespaceRequestMessage,
    reply: CreateNamespaceResponseMessage,
  },
  getKey: {
    path: "/primatomic.v1.KeyValue/GetKey",
    request: GetKeyRequestMessage,
    reply: GetKeyResponseMessage,
  },
  putKey: {
    path: "/primatomic.v1.KeyValue/PutKey",
    request: PutKeyRequestMessage,
    reply: PutKeyResponseMessage,
  },
  deleteKey: {
    path: "/primatomic.v1.KeyValue/DeleteKey",
    request: DeleteKeyRequestMessage,
    reply: DeleteKeyResponseMessage,
  },
  listKeys: {
    path: "/primatomic.v1.KeyValue/ListKeys",
    request: ListKeysRequestMessage,
    reply: ListKeysResponseMessage,
  },
  compareAndSwap: {
    path: "/primatomic.v1.KeyValue/CompareAndSwap",
    request: CompareAndSwapRequestMessage,
    reply: CompareAndSwapResponseMessage,
  },
  listNamespaces: {
    path: "/primatomic.v1.KeyValue/ListNamespaces",
    request: ListNamespacesRequestMessage,
    reply: ListNamespacesResponseMessage,
  },
  getNamespace: {
    path: "/primatomic.v1.KeyValue/GetNamespace",
    request: GetNamespaceRequestMessage,
    reply: GetNamespaceResponseMessage,
  },
  dropNamespace: {
    path: "/primatomic.v1.KeyValue/DropNamespace",
    request: DropNamespaceRequestMessage,
    reply: DropNamespaceResponseMessage,
  },
} as const;
