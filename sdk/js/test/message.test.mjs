// The codec, held against another one that reads the .proto file.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";

import { random } from "./rig/random.mjs";
import { api } from "./rig/stub.mjs";

const require = createRequire(import.meta.url);
const messages = require("../dist/messages.js");
const { Message } = require("../dist/message.js");

const types = Object.entries(messages).filter(([, found]) => found instanceof Message)
  .map(([name, ours]) => ({ ours, theirs: api.lookupType(name.replace(/Message$/, "")) }));

/** valueOf gives a value for a field. Long ones need several bytes for their length. */
function valueOf(field, choose) {
  const bytes = () => Buffer.from(Array.from({ length: choose(2) ? choose(4) : choose(400) }, () => choose(256)));
  switch (field.type) {
    case "string":
      return bytes().toString();
    case "bytes":
      return bytes();
    case "bool":
      return choose(2) === 1;
    case "int32":
      return choose(2 ** 32) - 2 ** 31;
    case "uint64":
      return BigInt.asUintN(choose(65), BigInt(choose(2 ** 32)) * BigInt(choose(2 ** 32)) * 3n);
    default:
      return messageOf(field.resolvedType, choose, true);
  }
}

/** messageOf gives a message with some of its fields, or all. */
function messageOf(type, choose, all = false) {
  const value = {};
  for (const field of type.fieldsArray) {
    field.resolve();
    if (all || choose(4) > 0) {
      const one = () => valueOf(field, choose);
      value[field.name] = field.repeated ? Array.from({ length: 1 + choose(3) }, one) : one();
    }
  }
  return value;
}

test("every message is written and read as another codec does", (t) => {
  const choose = random(t);
  assert.ok(types.length > 15);
  for (let round = 0; round < 50; round++) {
    for (const { ours, theirs } of types) {
      const value = messageOf(theirs, choose);
      const seen = theirs.decode(ours.encode(value));
      assert.deepEqual(theirs.toObject(seen, { longs: String, bytes: String }), texts(value), theirs.name);
      const again = ours.decode(Buffer.from(theirs.encode(seen).finish()));
      for (const [name, given] of Object.entries(value)) {
        assert.deepEqual(texts(again[name]), texts(given), `${theirs.name}.${name}`);
      }
    }
  }
});

test("what is cut off is no message, and never read beyond its end", (t) => {
  const choose = random(t);
  for (let round = 0; round < 100; round++) {
    for (const { ours, theirs } of types) {
      const whole = ours.encode(messageOf(theirs, choose));
      const spoilt = Buffer.from(whole.subarray(0, choose(whole.length + 1)));
      if (spoilt.length > 0) {
        spoilt[choose(spoilt.length)] = choose(256);
      }
      try {
        ours.decode(spoilt);
      } catch (failed) {
        assert.equal(failed.constructor, Error, failed.stack);
      }
    }
  }
  const { ours } = types.find(({ theirs }) => theirs.name === "GetKeyResponse");
  const all = ["0a", "0a05", "0a0561", "08", "0880", "ffffffffffffffffffff01", "0d0102", "0b", "0affffffffff7f"];
  for (const wrong of all) {
    assert.throws(() => ours.decode(Buffer.from(wrong, "hex")), Error, wrong);
  }
});

test("fields that are not known are passed over", () => {
  const { ours } = types.find(({ theirs }) => theirs.name === "GetKeyResponse");
  const unknown = ["7801", "7d01020304", "79" + "01".repeat(8), "7a0361626300".slice(0, 10)];
  const known = "1a0176";
  assert.equal(ours.decode(Buffer.from([...unknown, known].join(""), "hex")).value.toString(), "v");
  assert.equal(ours.decode(Buffer.from("1801" + known, "hex")).value.toString(), "v", "one of another wire type");
});

/** texts writes a message with text for what codecs hold in several ways: numbers of 64 bits, and bytes in base64. */
function texts(value) {
  if (value instanceof Uint8Array) {
    return Buffer.from(value).toString("base64");
  }
  if (Array.isArray(value)) {
    return value.map(texts);
  }
  if (typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, texts(part)]));
  }
  return typeof value === "bigint" ? String(value) : value;
}
