// Nodes of a store for tests: processes of the real binary, which end with the process that started them.
import { execFile, execFileSync, spawn } from "node:child_process";
import { createHmac, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const built = fileURLToPath(new URL("../../../../bin/primatomic", import.meta.url));
const binary = process.env.PRIMATOMIC_BIN ?? built;

const START_MS = 60_000;

/** directory makes one that is removed when the process ends. */
export function directory() {
  const path = mkdtempSync(join(tmpdir(), "primatomic-js-"));
  process.on("exit", () => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** eventually waits until a condition holds. */
export async function eventually(what, holds, withinMs = START_MS) {
  for (const end = Date.now() + withinMs; !(await holds()); ) {
    if (Date.now() > end) {
      throw new Error(`within ${withinMs} ms it was never true that ${what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Node is a data directory and the process that runs on it. */
export class Node {
  #process;
  #said;
  #log;
  #exited;
  #args;

  constructor(flags, { resp, grpc } = { resp: "127.0.0.1:0", grpc: "127.0.0.1:0" }) {
    const data = ["--data-dir", join(directory(), "data")];
    this.#args = ["serve", ...data, "--http-addr", "", "--resp-addr", resp, "--grpc-addr", grpc, ...flags];
    this.start();
    process.on("exit", () => this.#process.kill("SIGKILL"));
  }

  /** start starts the process, and another one after it has ended. */
  start() {
    this.#said = this.#log = "";
    this.#process = spawn(binary, this.#args);
    this.#process.stdout.on("data", (text) => (this.#said += text));
    this.#process.stderr.on("data", (text) => (this.#log += text));
    this.#exited = new Promise((resolve) => this.#process.on("exit", resolve));
    // A test that has failed before it ended its nodes must end nevertheless, and they with it.
    [this.#process, this.#process.stdin, this.#process.stdout, this.#process.stderr].forEach((end) => end.unref());
  }

  /** ready waits until the node has said where it listens. */
  async ready() {
    await eventually("the node is ready", () => {
      if (this.#process.exitCode !== null) {
        throw new Error(`the node has ended by itself:\n${this.#log}`);
      }
      this.resp = /^ {2}Redis +(\S+:\d+) /m.exec(this.#said)?.[1];
      this.grpc = /^ {2}gRPC +(\S+:\d+) /m.exec(this.#said)?.[1];
      return this.resp && this.grpc;
    });
    return this;
  }

  /** kill is kill -9. It returns when the process is gone. */
  async kill() {
    await this.#end("SIGKILL");
  }

  /** freeze stops the process without ending it: its connections stay, and nothing answers. */
  freeze() {
    this.#process.kill("SIGSTOP");
  }

  /** thaw lets a frozen process go on. */
  thaw() {
    this.#process.kill("SIGCONT");
  }

  /** stop is SIGTERM: the node hands over and ends. */
  async stop() {
    await this.#end("SIGTERM");
  }

  async #end(signal) {
    this.#process.ref();
    this.#process.kill(signal);
    await this.#exited;
  }
}

/** startNode starts a node alone. */
export async function startNode(...flags) {
  return await new Node(flags).ready();
}

/** startFleet starts three nodes that found a cluster, on addresses on loopback that no other process gives out. */
export async function startFleet() {
  const secret = join(directory(), "cluster.secret");
  writeFileSync(secret, "a secret of the fleets of these tests");
  const host = (i) => `127.${64 + ((process.pid >> 8) % 128)}.${process.pid % 256}.${201 + i}`;
  const founders = [0, 1, 2].map((i) => `n${i + 1}=${host(i)}:8379`).join(",");
  const nodes = [0, 1, 2].map((i) => {
    const flags = ["--name", `n${i + 1}`, "--cluster", founders, "--cluster-secret-file", secret, "--insecure"];
    return new Node(flags, { resp: `${host(i)}:6379`, grpc: `${host(i)}:7379` });
  });
  await Promise.all(nodes.map((node) => node.ready()));
  return nodes;
}

/** leaderOf waits until one of the nodes leads, and returns it. */
export async function leaderOf(nodes) {
  let leader;
  await eventually("a node leads", async () => {
    for (const node of nodes) {
      const asked = ["cluster", "status", "--json", "--timeout", "2s", "--grpc-addr", node.grpc];
      const { stdout } = await promisify(execFile)(binary, asked).catch(() => ({ stdout: "{}" }));
      const { members = [] } = JSON.parse(stdout);
      const found = members.find(({ role }) => role === "leader");
      leader = nodes.find(({ grpc }) => grpc === found?.grpc);
      if (leader) {
        return true;
      }
    }
    return false;
  });
  return leader;
}

/** Issuer signs tokens, with a secret that a node is started with. */
export class Issuer {
  #secret = randomBytes(32).toString("base64");

  constructor() {
    this.file = join(directory(), "jwt.key");
    writeFileSync(this.file, this.#secret);
  }

  /** sign makes a token that expires in some seconds. */
  sign(credential, seconds = 3600, more = {}) {
    const encode = (part) => Buffer.from(JSON.stringify(part)).toString("base64url");
    const now = Math.floor(Date.now() / 1000);
    const times = { iat: Math.min(now, now + seconds), exp: now + seconds };
    const claims = { sub: credential, ...times, scope: "read write", ...more };
    const signed = `${encode({ alg: "HS256", typ: "JWT", kid: "jwt" })}.${encode(claims)}`;
    return `${signed}.${createHmac("sha256", this.#secret).update(signed).digest("base64url")}`;
  }
}

/** certificate makes one for 127.0.0.1 and localhost that signs itself, and returns the files of it and its key. */
export function certificate() {
  const dir = directory();
  const [cert, key] = [join(dir, "cert.pem"), join(dir, "key.pem")];
  execFileSync("openssl", [
    "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert,
  ], { stdio: "pipe" });
  return { cert, key };
}
