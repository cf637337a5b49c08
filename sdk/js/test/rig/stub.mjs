// A server that answers as a test tells it to, and counts what it was sent. It knows the API from the .proto file, by
// another codec than the client's.
import { readFileSync } from "node:fs";
import { promisify } from "node:util";

import grpc from "@grpc/grpc-js";
import protobuf from "protobufjs";

const proto = new URL("../../../../proto/primatomic/v1/keyvalue.proto", import.meta.url);
export const api = protobuf.parse(readFileSync(proto, "utf8")).root;

const rpc = protobuf.parse(`
  syntax = "proto3";
  package google.rpc;
  message Any { string type_url = 1; bytes value = 2; }
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message ErrorInfo { string reason = 1; string domain = 2; map<string, string> metadata = 3; }
`).root;

/** refusal is an error as the store sends it. Without a reason it has no details, as of a connection that breaks. */
export function refusal(code, reason, domain = "primatomic") {
  const metadata = new grpc.Metadata();
  if (reason !== undefined) {
    const info = rpc.lookupType("ErrorInfo").encode({ reason, domain, metadata: { k: "v" } }).finish();
    const details = [{ typeUrl: "type.googleapis.com/google.rpc.ErrorInfo", value: info }];
    const status = rpc.lookupType("Status").encode({ code, message: "as told", details }).finish();
    metadata.set("grpc-status-details-bin", Buffer.from(status));
  }
  return { code, details: "as told", metadata };
}

/** Stub is the server. What it is told for a call is a reply, an error, or a function of the call that gives one. */
export class Stub {
  /** The calls that came, each with its method, request and metadata. */
  calls = [];
  #server = new grpc.Server();
  #plan = [];

  static async start() {
    const stub = new Stub();
    for (const method of api.lookupService("KeyValue").methodsArray) {
      const type = (name) => api.lookupType(name);
      stub.#server.addService({
        [method.name]: {
          path: `/primatomic.v1.KeyValue/${method.name}`, requestStream: false, responseStream: false,
          requestDeserialize: (bytes) => type(method.requestType).toObject(type(method.requestType).decode(bytes)),
          responseSerialize: (reply) => Buffer.from(type(method.responseType).encode(reply).finish()),
        },
      }, { [method.name]: (call, callback) => stub.#answer(method.name, call, callback) });
    }
    const bind = promisify(stub.#server.bindAsync.bind(stub.#server));
    const port = await bind("127.0.0.1:0", grpc.ServerCredentials.createInsecure());
    stub.address = `127.0.0.1:${port}`;
    return stub;
  }

  /** plan says how the next calls are answered, in this order. Those beyond are answered by an empty reply. */
  plan(...answers) {
    this.#plan = answers;
    this.calls = [];
  }

  /** breakOff breaks all connections, and takes new ones. */
  breakOff() {
    this.#server.drain(this.address, 0);
  }

  /** end breaks all connections and ends. */
  end() {
    this.#server.forceShutdown();
  }

  #answer(method, call, callback) {
    this.calls.push({ method, request: call.request, metadata: call.metadata.getMap() });
    const planned = this.#plan.shift() ?? {};
    const answer = typeof planned === "function" ? planned(call) : planned;
    if (answer !== undefined) {
      callback(answer.code ? answer : null, answer.code ? null : answer);
    }
  }
}
