// Writes src/messages.ts from the API's .proto file: a table and a type for each message, and a row for each call.
// With --check it writes nothing, and fails if the file is not what it would write.
import { readFileSync, writeFileSync } from "node:fs";
import protobuf from "protobufjs";

const proto = new URL("../../proto/primatomic/v1/keyvalue.proto", import.meta.url);
const target = new URL("src/messages.ts", import.meta.url);

const types = { string: "string", bytes: "Buffer", bool: "boolean", int32: "number", uint64: "bigint" };

/** camel is a field's name as JavaScript writes it. */
const camel = (name) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());

/** optional reports whether the field tells absence from zero. protobufjs holds such a one as a union of one. */
const optional = (field) => field.partOf?.isProto3Optional ?? false;

function times(field) {
  return field.repeated ? "many" : optional(field) || !(field.type in types) ? "maybe" : "one";
}

/** scalar refuses what the codec does not do. */
function check(field) {
  const scalar = field.type in types;
  const message = field.resolvedType instanceof protobuf.Type;
  const oneof = field.partOf && !optional(field);
  const packed = field.repeated && scalar && field.type !== "string" && field.type !== "bytes";
  if ((!scalar && !message) || field.map || oneof || packed) {
    throw new Error(`${field.fullName}: src/message.ts has no such fields`);
  }
}

function property(field, request) {
  const one = request && field.type === "bytes" ? "Uint8Array" : types[field.type] ?? field.type;
  const several = field.repeated ? `${one}[]` : one;
  const wide = request && field.type === "uint64" ? `${several} | number` : several;
  return `  ${camel(field.name)}${request || times(field) === "maybe" ? "?" : ""}: ${wide};`;
}

function row(field) {
  const kind = field.type in types ? `"${field.type}"` : `${field.type}Message`;
  return `  { number: ${field.id}, name: "${camel(field.name)}", kind: ${kind}, times: "${times(field)}" },`;
}

function message(type) {
  const request = type.name.endsWith("Request");
  type.fieldsArray.forEach((field) => check(field.resolve()));
  const properties = type.fieldsArray.map((field) => property(field, request));
  const body = properties.length === 0 ? "Record<string, never>" : `{\n${properties.join("\n")}\n}`;
  const rows = type.fieldsArray.length === 0 ? "[]" : `[\n${type.fieldsArray.map(row).join("\n")}\n]`;
  return `export type ${type.name} = ${body};

export const ${type.name}Message = new Message<${type.name}>(${rows});
`;
}

function call(service, method) {
  const name = method.name[0].toLowerCase() + method.name.slice(1);
  return `  ${name}: {
    path: "/${service.fullName.slice(1)}/${method.name}",
    request: ${method.requestType}Message,
    reply: ${method.responseType}Message,
  },
`;
}

function generate() {
  const { root, package: name } = protobuf.parse(readFileSync(proto, "utf8"), { keepCase: true });
  root.resolveAll();
  const nested = root.lookup(name).nestedArray;
  const messages = nested.filter((found) => found instanceof protobuf.Type);
  const services = nested.filter((found) => found instanceof protobuf.Service);
  const calls = services.flatMap((service) => service.methodsArray.map((method) => call(service, method)));
  return `// Written by generate.mjs from keyvalue.proto. Do not edit.
import { Message } from "./message.js";

${messages.map(message).join("\n")}
export const calls = {
${calls.join("")}} as const;
`;
}

const text = generate();
if (!process.argv.includes("--check")) {
  writeFileSync(target, text);
} else if (readFileSync(target, "utf8") !== text) {
  console.error("src/messages.ts is not what keyvalue.proto says: npm run generate");
  process.exitCode = 1;
}
