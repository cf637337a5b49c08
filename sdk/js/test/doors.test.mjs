// Doors that do not open: each is a clear error of a class of its own, within the time of the call.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { after, before, test } from "node:test";

import { AlreadyExists, Client, PermissionDenied, Unauthenticated, Unavailable } from "primatomic";

import { certificate, Issuer, startNode } from "./rig/node.mjs";

let issuer, files, ca, plain, secure;

before(async () => {
  issuer = new Issuer();
  files = certificate();
  ca = readFileSync(files.cert);
  const tls = ["--tls-cert", files.cert, "--tls-key", files.key];
  [plain, secure] = await Promise.all([
    startNode("--auth", "jwt", "--jwt-key", issuer.file),
    startNode("--auth", "jwt", "--jwt-key", issuer.file, ...tls, "--tls-client-ca", files.cert),
  ]);
});

after(() => Promise.all([plain.kill(), secure.kill()]));

/** refuses makes a call of a client of its own, and holds its error against a class and a pattern. */
async function refuses(endpoint, options, Class, pattern, call = (client) => client.putKey("0", "k", "v")) {
  const began = Date.now();
  await using(new Client(endpoint, { timeoutMs: 500, ...options }), async (client) => {
    await assert.rejects(call(client), (failed) => {
      assert.ok(failed instanceof Class, failed.stack);
      assert.match(failed.message, pattern);
      assert.equal(failed.outcomeUnknown, false);
      assert.equal(failed.notApplied, Class === Unavailable);
      return true;
    });
  });
  assert.ok(Date.now() - began < 3_000, `it took ${Date.now() - began} ms`);
}

async function using(client, body) {
  try {
    await body(client);
  } finally {
    await client.close();
  }
}

/** unused is a port where nobody listens. */
async function unused() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test("nobody listens there", async () => {
  await refuses(`127.0.0.1:${await unused()}`, { insecure: true }, Unavailable, /^no node .*ECONNREFUSED/);
  await refuses("nowhere.invalid:7379", { insecure: true }, Unavailable, /^no node .*nowhere\.invalid/);
});

test("the port is that of Redis clients", async () => {
  await refuses(plain.resp, { insecure: true }, Unavailable, /^no node .*: 127.0.0.1:\d+: Protocol error/);
});

test("TLS, and who speaks it not", async () => {
  const client = { ca, cert: ca, key: readFileSync(files.key) };
  const jwtToken = issuer.sign("alice");
  const reached = secure.grpc.replace("127.0.0.1", "localhost");
  await using(new Client(reached, { tls: client, jwtToken }), (client) => client.putKey("0", "k", "v"));
  await using(new Client(secure.grpc, { tls: { ...client, serverName: "localhost" }, jwtToken }), (client) =>
    client.putKey("0", "k", "v"));

  await using(new Client(secure.grpc, { tls: client, jwtToken }), (client) => client.putKey("0", "k", "v"));

  await refuses(plain.grpc.replace("127.0.0.1", "localhost"), {}, Unavailable, /SSL|TLS/);
  await refuses(reached, { insecure: true }, Unavailable, /^no node could be reached/);
  await refuses(reached, {}, Unavailable, /self-signed certificate/);
  await refuses(reached, { tls: { ca } }, Unavailable, /^no node could be reached/);
  await refuses(reached, { tls: { ...client, serverName: "example.com" } }, Unavailable, /altnames/);
});

test("no token, and tokens that are none", async () => {
  const shown = (jwtToken) => ({ insecure: true, jwtToken });
  await refuses(plain.grpc, { insecure: true }, Unauthenticated, /no token/);
  await refuses(plain.grpc, shown("nonsense"), Unauthenticated, /./);
  await refuses(plain.grpc, shown(new Issuer().sign("alice")), Unauthenticated, /./);
  await refuses(plain.grpc, shown(issuer.sign("alice", -3600)), Unauthenticated, /expired/);
});

test("a token for something else", async () => {
  const shown = (credential, more) => ({ insecure: true, jwtToken: issuer.sign(credential, 3600, more) });
  await using(new Client(plain.grpc, shown("alice")), async (alice) => {
    await alice.createNamespace("hers");
    await alice.putKey("hers", "k", "v");
  });
  await refuses(plain.grpc, shown("bob"), AlreadyExists, /./, (bob) => bob.createNamespace("hers"));
  await refuses(plain.grpc, shown("alice", { scope: "read" }), PermissionDenied, /./);
  await refuses(plain.grpc, shown("alice", { namespaces: ["hers"] }), PermissionDenied, /./);
  await refuses(plain.grpc, shown("bob"), PermissionDenied, /./, (bob) => bob.getKey("hers", "k"));
});
