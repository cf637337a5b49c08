// The package as it is published: what it holds, how it is imported, its types, its README, and how processes end.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import * as imported from "primatomic";

import { certificate, directory, Issuer, startNode } from "./rig/node.mjs";

const here = fileURLToPath(new URL("..", import.meta.url));
const run = promisify(execFile);

let node, consumer;

before(async () => {
  node = await startNode();
  consumer = directory();
  const { stdout } = await run("npm", ["pack", "--ignore-scripts", "--pack-destination", consumer], { cwd: here });
  await run("tar", ["-xf", stdout.trim()], { cwd: consumer });
  mkdirSync(join(consumer, "node_modules"));
  renameSync(join(consumer, "package"), join(consumer, "node_modules/primatomic"));
  for (const name of ["@grpc", "@types"]) {
    symlinkSync(join(here, "node_modules", name), join(consumer, "node_modules", name));
  }
});

after(() => node.kill());

/** program runs a program that uses the package, and returns what it prints. */
async function program(name, text, options = {}) {
  const path = join(consumer, name);
  writeFileSync(path, text);
  const { stdout } = await run(process.execPath, [path], { timeout: 30_000, ...options });
  return stdout;
}

test("the package holds the compiled code and no more", () => {
  const files = (name) => readFileSync(join(consumer, "node_modules/primatomic", name), "utf8");
  assert.match(files("README.md"), /npm install primatomic/);
  assert.match(files("dist/index.d.ts"), /Client/);
  assert.throws(() => files("src/index.ts"), { code: "ENOENT" });
  assert.throws(() => files("test/package.test.mjs"), { code: "ENOENT" });
});

test("import and require give the same classes", () => {
  const required = createRequire(import.meta.url)("primatomic");
  const names = Object.keys(required);
  assert.ok(names.includes("Client") && names.includes("NotFound"));
  for (const name of names) {
    assert.equal(imported[name], required[name], name);
  }
});

test("a program by import, and one by require", async () => {
  const use = `
    const client = new Client("${node.grpc}", { insecure: true });
    client.putKey("0", "k", "v").then(() => client.getKey("0", "k")).then((value) => console.log(String(value)));`;
  assert.equal(await program("a.mjs", `import { Client } from "primatomic"; ${use}`), "v\n");
  assert.equal(await program("a.cjs", `const { Client } = require("primatomic"); ${use}`), "v\n");
});

test("the types hold under strict", async () => {
  cpSync(join(here, "test/types"), join(consumer, "types"), { recursive: true });
  const tsc = join(here, "node_modules/typescript/bin/tsc");
  await run(process.execPath, [tsc, "--noEmit", "-p", join(consumer, "types")])
    .catch(({ stdout }) => assert.fail(stdout));
});

test("the messages are what the .proto file says", async () => {
  await run(process.execPath, [join(here, "generate.mjs"), "--check"]);
});

test("the lock file names no place", () => {
  assert.doesNotMatch(readFileSync(join(here, "package-lock.json"), "utf8"), /"resolved"/);
});

test("a process ends by itself, whatever became of its calls", async (t) => {
  const hole = createServer();
  await new Promise((resolve) => hole.listen(0, "127.0.0.1", resolve));
  t.after(() => hole.close());
  const silent = `127.0.0.1:${hole.address().port}`;
  for (const [what, endpoint, call, outcome] of [
    ["served", node.grpc, `putKey("0", "k", "v")`, "served"],
    ["refused", node.grpc, `getKey("0", "missing")`, "NotFound"],
    ["nobody there", "127.0.0.1:1", `getKey("0", "k", { timeoutMs: 300 })`, "Unavailable"],
    ["silence", silent, `getKey("0", "k", { timeoutMs: 300 })`, "DeadlineExceeded"],
    ["given up", silent, `getKey("0", "k", { signal: AbortSignal.timeout(100) })`, "Cancelled"],
    ["no such host", "nowhere.invalid:1", `getKey("0", "k", { timeoutMs: 300 })`, "Unavailable"],
  ]) {
    const printed = await program("ends.mjs", `
      import { Client } from "primatomic";
      const client = new Client("${endpoint}", { insecure: true });
      console.log(await client.${call}.then(() => "served", (failed) => failed.name));
      const answered = Date.now();
      process.on("exit", () => console.log(Date.now() - answered));`);
    const [said, lingered] = printed.split("\n");
    assert.equal(said, outcome, what);
    assert.ok(Number(lingered) < 1_000, `${what}: the process has lingered for ${lingered} ms`);
  }
});

test("the examples of the README do what they say", async (t) => {
  const issuer = new Issuer();
  const { cert, key } = certificate();
  const flags = ["--auth", "jwt", "--jwt-key", issuer.file, "--tls-cert", cert, "--tls-key", key];
  const secure = await startNode(...flags);
  t.after(() => secure.kill());
  const cwd = directory();
  writeFileSync(join(cwd, "alice.token"), `${issuer.sign("alice")}\n`);
  cpSync(cert, join(cwd, "ca.pem"));

  const examples = [...readFileSync(join(here, "README.md"), "utf8").matchAll(/^```js\n([^]*?)^```/gm)];
  assert.equal(examples.length, 5);
  for (const [i, [, text]] of examples.entries()) {
    const promised = [...text.matchAll(/console\.log\(.*\/\/ (.*)/g)].flatMap(([, said]) => said.split(", "));
    assert.ok(promised.length > 0, text);
    const placed = text
      .replaceAll("127.0.0.1:7379", node.grpc)
      .replaceAll(/n[123]\.example\.com:7379/g, secure.grpc.replace("127.0.0.1", "localhost"));
    const name = text.includes("require(") ? `example${i}.cjs` : `example${i}.mjs`;
    assert.equal(await program(name, placed, { cwd }), `${promised.join("\n")}\n`, text);
  }
});
