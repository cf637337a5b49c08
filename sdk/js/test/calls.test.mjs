// Every call, with a node alone.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import * as primatomic from "primatomic";

import { startNode } from "./rig/node.mjs";

const { Client, InvalidArgument, NotFound } = primatomic;

let node, client;

before(async () => {
  node = await startNode();
  client = new Client(node.grpc, { insecure: true });
  await client.createNamespace("app");
});

after(async () => {
  await client.close();
  await node.kill();
});

test("the calls by their names in the API", async () => {
  const client = new primatomic.Client(node.grpc, { jwt_token: undefined, insecure: true });
  await client.create_namespace("myapp");
  await client.put_key("myapp", "session:abc123", Buffer.from("user_data"), { ttl_ms: 3600000 });
  await client.put_key("myapp", "user:123:profile", Buffer.from("a profile"));
  assert.deepEqual(await client.get_key("myapp", "user:123:profile"), Buffer.from("a profile"));
  await client.delete_key("myapp", "k");
  assert.deepEqual(await client.list_keys("myapp", { prefix: "user:", limit: 100 }), ["user:123:profile"]);
  const swap = { namespace: "myapp", key: "counter", expected_value: Buffer.from("1"), new_value: Buffer.from("2") };
  assert.equal(await client.compare_and_swap(swap), false);
  await client.put_key("myapp", "counter", Buffer.from("1"));
  assert.equal(await client.compare_and_swap(swap), true);
  await client.close();
});

test("a value is written, read and removed", async () => {
  await client.putKey("app", "k", "text with é");
  assert.equal((await client.getKey("app", "k")).toString(), "text with é");
  await client.putKey("app", "k", new Uint8Array([0, 255, 128]));
  assert.deepEqual([...(await client.getKey("app", "k"))], [0, 255, 128]);
  await client.putKey("app", "k", "");
  assert.equal((await client.getKey("app", "k", { stale: true })).length, 0);
  await client.deleteKey("app", "k");
  await client.deleteKey("app", "k");
  await assert.rejects(client.getKey("app", "k"), (failed) => {
    assert.ok(failed instanceof NotFound && failed instanceof primatomic.PrimatomicError && failed instanceof Error);
    assert.equal(failed.code, 5);
    assert.equal(failed.name, "NotFound");
    assert.equal(failed.reason, "NO_KEY");
    assert.equal(failed.message, "the key does not exist");
    assert.deepEqual(failed.details.map(({ type }) => type), ["google.rpc.ErrorInfo"]);
    assert.equal(failed.notApplied || failed.outcomeUnknown, false);
    assert.match(failed.stack, /^NotFound: the key does not exist\n[^]*calls\.test\.mjs/);
    return true;
  });
});

test("a time to live ends", async () => {
  await client.putKey("app", "short", "v", { ttlMs: 1n });
  await assert.rejects(async () => {
    for (;;) {
      await client.getKey("app", "short");
    }
  }, NotFound);
  await client.putKey("app", "long", "v", { ttlMs: 60_000 });
  assert.equal((await client.getKey("app", "long")).toString(), "v");
  await assert.rejects(client.putKey("app", "long", "v", { ttlMs: 2n ** 64n - 1n }), InvalidArgument);
});

test("compare and swap", async () => {
  const swap = (expectedValue, newValue) =>
    client.compareAndSwap({ namespace: "app", key: "cas", expectedValue, newValue });
  assert.equal(await swap("1", "2"), false);
  assert.equal(await swap("", "1"), true);
  assert.equal(await swap("", "1"), false);
  assert.equal(await swap(Buffer.from("1"), "2"), true);
  assert.equal(await client.compareAndSwap("app", "cas", "2", "3"), true);
  assert.equal((await client.getKey("app", "cas")).toString(), "3");
});

test("keys are text or bytes", async () => {
  await client.createNamespace("bytes");
  const odd = Buffer.from([0x6b, 0xff]);
  await client.putKey("bytes", odd, "odd");
  await client.putKey("bytes", Buffer.from("ka"), "a");
  await client.putKey("bytes", "kü", "ü");
  await client.putKey("bytes", "\ufeffbom", "");
  assert.equal((await client.getKey("bytes", odd)).toString(), "odd");
  assert.equal((await client.getKey("bytes", Buffer.from("kü"))).toString(), "ü");

  const listed = await client.listKeys("bytes");
  assert.deepEqual([...listed], ["ka", "kü", "\ufeffbom"]);
  assert.deepEqual(listed.others, [odd]);
  assert.deepEqual((await client.listKeys("bytes", { prefix: "ka" })).others, []);
  const all = ["ka", "kü", odd, "\ufeffbom"];
  assert.deepEqual(await client.listKeys("bytes", { bytes: true }), all.map((key) => Buffer.from(key)));
  assert.deepEqual(await collect(client.iterateKeys("bytes", { pageSize: 2 })), all);
  assert.deepEqual(await collect(client.iterateKeys("bytes", { bytes: true, prefix: odd })), [odd]);

  assert.equal(await client.compareAndSwap("bytes", odd, "odd", "even"), true);
  await client.deleteKey("bytes", odd);
  await assert.rejects(client.getKey("bytes", odd), NotFound);
});

test("lists are cut, and gone through in pages", async () => {
  await client.createNamespace("lists");
  const names = Array.from({ length: 25 }, (_, i) => `k${String(i).padStart(2, "0")}`);
  await Promise.all(names.map((name) => client.putKey("lists", name, name)));
  assert.deepEqual(await client.listKeys("lists"), names);
  assert.deepEqual(await client.listKeys("lists", { limit: 3 }), names.slice(0, 3));
  assert.deepEqual(await client.listKeys("lists", { prefix: "k1", startAfter: "k17" }), ["k18", "k19"]);
  for (const pageSize of [1, 7, 25, 26, undefined]) {
    assert.deepEqual(await collect(client.iterateKeys("lists", { pageSize })), names);
  }
  for await (const key of client.iterateKeys("lists", { pageSize: 2 })) {
    if (key === "k03") {
      break; // the rest is not asked for
    }
  }
  assert.deepEqual(await collect(client.iterateKeys("lists", { prefix: "none" })), []);
  await assert.rejects(collect(client.iterateKeys("nowhere")), NotFound);
});

test("namespaces", async () => {
  await client.createNamespace("named");
  await client.createNamespace("named");
  await client.putKey("named", "k", "four");
  const { namespace, keys, bytes, revision } = await client.getNamespace("named");
  assert.deepEqual({ namespace, keys, bytes, revision }, { namespace: "named", keys: 1n, bytes: 5n, revision: 1n });
  assert.ok((await client.listNamespaces()).includes("named"));
  await client.dropNamespace("named");
  const reason = { name: "NotFound", reason: "NO_NAMESPACE" };
  await assert.rejects(client.getKey("named", "k"), reason);
  await assert.rejects(client.deleteKey("named", "k"), reason);
  await assert.rejects(client.dropNamespace("named"), reason);
  await assert.rejects(client.dropNamespace("0"), InvalidArgument);
  await client.putKey("0", "k", "v"); // the databases of Redis clients need no creation
});

test("values of 16 MiB, and no larger ones", async () => {
  const largest = Buffer.alloc(16 * 1024 * 1024, "x");
  await client.putKey("app", "large", largest, { timeoutMs: 60_000 });
  const swap = { namespace: "app", key: "large", expectedValue: largest, newValue: largest };
  assert.equal(await client.compareAndSwap(swap, { timeoutMs: 60_000 }), true);
  assert.ok((await client.getKey("app", "large", { timeoutMs: 60_000 })).equals(largest));
  await assert.rejects(client.putKey("app", "large", Buffer.alloc(largest.length + 1)), {
    name: "InvalidArgument", code: 3, reason: "TOO_LARGE", outcomeUnknown: false,
  });
  await client.deleteKey("app", "large");
});

test("what the store refuses", async () => {
  await assert.rejects(client.putKey("app", "", "v"), InvalidArgument);
  await assert.rejects(client.putKey("app", "k".repeat(1025), "v"), InvalidArgument);
  await assert.rejects(client.createNamespace("no spaces"), InvalidArgument);
});

test("what is no argument is refused before anything is sent", async () => {
  for (const wrong of [
    () => client.putKey("app", "k", 1),
    () => client.putKey("app", "k"),
    () => client.putKey("app", 1, "v"),
    () => client.putKey("app", "\ud800", "v"),
    () => client.putKey(undefined, "k", "v"),
    () => client.putKey("app", "k", "v", { ttl: 1000 }),
    () => client.putKey("app", "k", "v", { ttlMs: -1 }),
    () => client.putKey("app", "k", "v", { ttlMs: 1.5 }),
    () => client.putKey("app", "k", "v", { ttlMs: 2n ** 64n }),
    () => client.putKey("app", "k", "v", { timeoutMs: 0 }),
    () => client.putKey("app", "k", "v", null),
    () => client.listKeys("app", { limit: "1" }),
    () => client.listKeys("app", { pageSize: 1 }),
    () => client.compareAndSwap("app", "k", "v"),
    () => client.compareAndSwap({ namespace: "app", key: "k", expectedValue: "v" }),
    () => client.compareAndSwap({ namespace: "app", key: "k", expected: "v", newValue: "w" }),
    () => client.iterateKeys("app", { limit: 1 }).next(),
  ]) {
    await assert.rejects(wrong(), InvalidArgument, wrong.toString());
  }
  for (const wrong of [
    () => new Client(),
    () => new Client([]),
    () => new Client("localhost"),
    () => new Client("http://localhost:7379"),
    () => new Client("localhost:70000"),
    () => new Client("localhost:7379", { insecure: true, tls: {} }),
    () => new Client("localhost:7379", { tls: { cert: "x" } }),
    () => new Client("localhost:7379", { tls: { authority: "x" } }),
    () => new Client("localhost:7379", { token: "x" }),
    () => new Client("localhost:7379", { jwtToken: 1 }),
    () => new Client("localhost:7379", { jwtToken: "two\nlines" }),
    () => new Client("localhost:7379", { timeoutMs: Infinity }),
  ]) {
    assert.throws(wrong, InvalidArgument, wrong.toString());
  }
});

test("a closed client makes no calls, and ends those under way", async () => {
  const closing = new Client(node.grpc, { insecure: true });
  const put = closing.putKey("app", "last", "v");
  await closing.close();
  await put;
  await closing.close();
  await assert.rejects(closing.getKey("app", "last"), { name: "Cancelled", code: 1, notApplied: true });
  const disposed = new Client(node.grpc, { insecure: true });
  await disposed[Symbol.asyncDispose]();
  await assert.rejects(disposed.getKey("app", "last"), primatomic.Cancelled);
});

async function collect(keys) {
  const all = [];
  for await (const key of keys) {
    all.push(key);
  }
  return all;
}
