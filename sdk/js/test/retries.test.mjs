// What is sent again and what is not, with servers that answer as they are told.
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { status as Code } from "@grpc/grpc-js";
import { Client, DeadlineExceeded, Unavailable } from "primatomic";

import { eventually } from "./rig/node.mjs";
import { refusal, Stub } from "./rig/stub.mjs";

const notApplied = refusal(Code.UNAVAILABLE, "NOT_APPLIED");
const bare = refusal(Code.UNAVAILABLE);

let stub, other, client;

before(async () => {
  [stub, other] = [await Stub.start(), await Stub.start()];
});

beforeEach(() => {
  client = new Client(stub.address, { insecure: true });
  stub.plan();
  other.plan();
});

afterEach(() => client.close());

after(() => {
  stub.end();
  other.end();
});

const reads = {
  getKey: (client, options) => client.getKey("app", "k", options),
  listKeys: (client, options) => client.listKeys("app", options),
  getNamespace: (client, options) => client.getNamespace("app", options),
  listNamespaces: (client, options) => client.listNamespaces(options),
};

const writes = {
  createNamespace: (client, options) => client.createNamespace("app", options),
  putKey: (client, options) => client.putKey("app", "k", "v", options),
  deleteKey: (client, options) => client.deleteKey("app", "k", options),
  compareAndSwap: (client, options) => client.compareAndSwap("app", "k", "v", "w", options),
  dropNamespace: (client, options) => client.dropNamespace("app", options),
};

for (const [name, call] of Object.entries({ ...reads, ...writes })) {
  test(`${name} is sent again after NOT_APPLIED`, async () => {
    stub.plan(notApplied, notApplied, notApplied);
    await call(client);
    assert.equal(stub.calls.length, 4);
    const requests = stub.calls.map(({ request }) => JSON.stringify(request));
    assert.equal(new Set(requests).size, 1);
  });
}

for (const [name, call] of Object.entries(reads)) {
  test(`${name} is sent again when a connection breaks`, async () => {
    stub.plan(bare, () => stub.breakOff());
    await call(client);
    assert.equal(stub.calls.length, 3);
  });
}

for (const [name, call] of Object.entries(writes)) {
  for (const [what, answer] of Object.entries({
    "a bare UNAVAILABLE": bare,
    "an UNAVAILABLE of another reason": refusal(Code.UNAVAILABLE, "OVERLOADED"),
    "a NOT_APPLIED that is not the store's": refusal(Code.UNAVAILABLE, "NOT_APPLIED", "example.com"),
    "a connection that breaks": () => stub.breakOff(),
  })) {
    test(`${name} is sent once: ${what}`, async () => {
      client = new Client([stub.address, other.address], { insecure: true });
      stub.plan(answer);
      await assert.rejects(call(client), (failed) => {
        assert.ok(failed instanceof Unavailable, failed.stack);
        assert.ok(failed.outcomeUnknown && !failed.notApplied);
        return true;
      });
      assert.equal(stub.calls.length + other.calls.length, 1);
    });
  }
}

test("nothing but UNAVAILABLE is sent again, and each code has its class", async () => {
  const classes = {
    CANCELLED: "Unavailable", // nobody here has cancelled it
    UNKNOWN: "PrimatomicError",
    INVALID_ARGUMENT: "InvalidArgument",
    DEADLINE_EXCEEDED: "DeadlineExceeded",
    NOT_FOUND: "NotFound",
    ALREADY_EXISTS: "AlreadyExists",
    PERMISSION_DENIED: "PermissionDenied",
    RESOURCE_EXHAUSTED: "ResourceExhausted",
    FAILED_PRECONDITION: "FailedPrecondition",
    ABORTED: "PrimatomicError",
    OUT_OF_RANGE: "PrimatomicError",
    UNIMPLEMENTED: "Unimplemented",
    INTERNAL: "Internal",
    DATA_LOSS: "PrimatomicError",
    UNAUTHENTICATED: "Unauthenticated",
  };
  for (const [code, name] of Object.entries(classes)) {
    stub.plan(refusal(Code[code], "THE_REASON"));
    await assert.rejects(writes.putKey(client), (failed) => {
      assert.equal(failed.name, name);
      if (code !== "CANCELLED") {
        assert.equal(failed.code, Code[code]);
        assert.equal(failed.reason, "THE_REASON");
      }
      const unknown = ["CANCELLED", "UNKNOWN", "DEADLINE_EXCEEDED", "INTERNAL", "DATA_LOSS"].includes(code);
      assert.equal(failed.outcomeUnknown, unknown, code);
      return true;
    });
    assert.equal(stub.calls.length, 1, code);
  }
});

test("refusals end with the deadline, and the last one is told", async () => {
  stub.plan(...Array.from({ length: 1000 }, () => notApplied));
  const began = Date.now();
  await assert.rejects(writes.putKey(client, { timeoutMs: 1000 }), (failed) => {
    assert.ok(failed instanceof Unavailable && failed.notApplied && !failed.outcomeUnknown);
    return true;
  });
  assert.ok(Date.now() - began >= 990, "it was given up too early");
  assert.ok(stub.calls.length >= 2 && stub.calls.length < 20, `${stub.calls.length} attempts`);
});

test("after a refusal the other node is asked", async () => {
  client = new Client([stub.address, other.address], { insecure: true });
  stub.plan(notApplied);
  await writes.putKey(client);
  await writes.putKey(client);
  assert.deepEqual([stub.calls.length, other.calls.length], [1, 2]);
});

test("a node that is gone is left before a write is sent", async () => {
  const gone = await Stub.start();
  client = new Client([gone.address, other.address], { insecure: true });
  await writes.putKey(client);
  assert.equal(gone.calls.length, 1);
  gone.end();
  await eventually("a write reaches the other node", () => writes.putKey(client).then(() => true, () => false));
  await writes.putKey(client);
  assert.equal(gone.calls.length, 1);
  assert.equal(other.calls.length, 2);
});

test("a node that is silent costs one call its time", async () => {
  const silent = await Stub.start();
  client = new Client([silent.address, other.address], { insecure: true });
  await reads.getKey(client);
  silent.plan(() => undefined);
  await assert.rejects(reads.getKey(client, { timeoutMs: 100 }), DeadlineExceeded);
  await reads.getKey(client);
  assert.equal(other.calls.length, 1);
  silent.end();
});

test("an address that swallows everything is passed by", async (t) => {
  const sockets = new Set();
  const hole = createServer((socket) => sockets.add(socket.on("error", () => undefined)));
  await new Promise((resolve) => hole.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    hole.close();
    sockets.forEach((socket) => socket.destroy());
  });
  const address = `127.0.0.1:${hole.address().port}`;
  const both = new Client([address, other.address], { insecure: true });
  await writes.putKey(both);
  assert.equal(other.calls.length, 1);
  const alone = new Client(address, { insecure: true });
  await assert.rejects(writes.putKey(alone, { timeoutMs: 300 }), (failed) => {
    assert.ok(failed instanceof DeadlineExceeded && failed.notApplied && !failed.outcomeUnknown);
    return true;
  });
  await Promise.all([both.close(), alone.close()]);
});

test("a deadline that passes while the call is under way", async () => {
  stub.plan(() => undefined);
  const began = Date.now();
  await assert.rejects(writes.putKey(client, { timeoutMs: 200 }), (failed) => {
    assert.ok(failed instanceof DeadlineExceeded && failed.code === 4 && failed.outcomeUnknown);
    return true;
  });
  assert.ok(Date.now() - began >= 190, "it was given up too early");
  assert.equal(stub.calls.length, 1);
  const ofClient = new Client(stub.address, { insecure: true, timeoutMs: 200 });
  stub.plan(() => undefined);
  await assert.rejects(writes.putKey(ofClient), DeadlineExceeded);
  await ofClient.close();
});

test("a call is given up by its signal", async () => {
  const controller = new AbortController();
  let seen;
  stub.plan((call) => {
    seen = call;
    controller.abort(new Error("enough"));
  });
  await assert.rejects(writes.putKey(client, { signal: controller.signal }), (failed) => {
    assert.equal(failed.name, "Cancelled");
    assert.equal(failed.code, 1);
    assert.equal(failed.cause.message, "enough");
    assert.ok(failed.outcomeUnknown);
    return true;
  });
  await eventually("the server has heard of it", () => seen.cancelled);
  stub.plan();
  await assert.rejects(writes.putKey(client, { signal: controller.signal }), { name: "Cancelled", notApplied: true });
  assert.equal(stub.calls.length, 0);
});

test("the token and the consistency are sent along", async () => {
  client = new Client(stub.address, { insecure: true, jwtToken: "a.b.c\n" });
  await client.getKey("app", "k", { stale: true });
  await client.putKey("app", "k", "v");
  const [get, put] = stub.calls.map(({ metadata }) => metadata);
  assert.equal(get.authorization, "Bearer a.b.c");
  assert.equal(get["primatomic-consistency"], "stale");
  assert.equal(put["primatomic-consistency"], undefined);
});

test("a function gives tokens as they are needed", async () => {
  let given = 0;
  const token = (seconds) => {
    const claims = { exp: Math.floor(Date.now() / 1000) + seconds };
    return `head.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.${++given}`;
  };
  const shown = () => stub.calls.map(({ metadata }) => metadata.authorization.split(".")[2]);
  let seconds = 3600;
  client = new Client(stub.address, { insecure: true, jwtToken: async () => token(seconds) });
  await Promise.all([1, 2, 3].map(() => writes.putKey(client)));
  assert.deepEqual(shown(), ["1", "1", "1"], "one is asked for and shown until it expires");

  stub.plan(refusal(Code.UNAUTHENTICATED, "TOKEN_REFUSED"));
  seconds = 10;
  await assert.rejects(writes.putKey(client), { name: "Unauthenticated", reason: "TOKEN_REFUSED" });
  await writes.putKey(client);
  await writes.putKey(client);
  assert.deepEqual(shown(), ["1", "2", "3"], "one that was refused or is about to expire is replaced");

  stub.plan();
  const failing = new Client(stub.address, {
    insecure: true,
    jwtToken: () => {
      throw new Error("no key");
    },
  });
  await assert.rejects(writes.putKey(failing), (failed) => {
    assert.equal(failed.name, "Unauthenticated");
    assert.equal(failed.cause.message, "no key");
    return true;
  });
  const slow = new Client(stub.address, { insecure: true, jwtToken: () => new Promise(() => undefined) });
  await assert.rejects(writes.putKey(slow, { timeoutMs: 100 }), { name: "DeadlineExceeded", notApplied: true });
  const empty = new Client(stub.address, { insecure: true, jwtToken: () => "" });
  await assert.rejects(writes.putKey(empty), { name: "Unauthenticated" });
  assert.equal(stub.calls.length, 0);
  await Promise.all([failing.close(), slow.close(), empty.close()]);
});
