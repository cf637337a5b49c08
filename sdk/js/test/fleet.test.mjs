// Three nodes, one of which is lost under clients.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Client } from "primatomic";

import { eventually, leaderOf, startFleet } from "./rig/node.mjs";

let nodes;

before(async () => {
  nodes = await startFleet();
});

after(() => Promise.all(nodes.map((node) => node.kill())));

/** clientOf knows all nodes, and begins with one of them. */
function clientOf(first) {
  const rest = nodes.filter((node) => node !== first);
  return new Client([first, ...rest].map(({ grpc }) => grpc), { insecure: true, timeoutMs: 20_000 });
}

/** Writers put keys of their own without a pause, and keep count of what became of each. */
class Writers {
  acknowledged = new Map();
  unknown = new Map();
  refused = [];
  #running = true;
  #done;

  constructor(count, put) {
    this.#done = Promise.all(Array.from({ length: count }, (_, i) => this.#write(put, i)));
  }

  async #write(put, writer) {
    for (let i = 0; this.#running; i++) {
      const [key, value] = [`w${writer}-${i}`, `${writer}:${i}`];
      try {
        await put(key, value);
        this.acknowledged.set(key, value);
      } catch (failed) {
        if (failed.outcomeUnknown) {
          this.unknown.set(key, value);
        } else {
          this.refused.push(failed);
        }
      }
    }
  }

  /** more waits until so many more writes were acknowledged. */
  async more(count) {
    const enough = this.acknowledged.size + count;
    await eventually(`${count} more writes are acknowledged`, () => this.acknowledged.size >= enough);
  }

  async stop() {
    this.#running = false;
    await this.#done;
  }
}

/**
 * endure has clients write at the leader while that is lost, and holds what is there afterwards against what they were
 * told. With a timeout of 20 s refusals and connections that are not made are no errors, while two of three nodes run.
 */
async function endure(t, namespace, lose, options = {}) {
  const leader = await leaderOf(nodes);
  const client = clientOf(leader);
  await client.createNamespace(namespace);
  const writers = new Writers(8, (key, value) => client.putKey(namespace, key, value, options));
  await writers.more(200);
  await lose(leader);
  await writers.more(200);
  await writers.stop();

  const { acknowledged, unknown, refused } = writers;
  t.diagnostic(`${acknowledged.size} acknowledged, ${unknown.size} unknown`);
  assert.deepEqual(refused, []);
  for (const [key, value] of acknowledged) {
    assert.equal((await client.getKey(namespace, key)).toString(), value);
  }
  // A key is written once, and each write that is applied makes the revision grow: so one that was sent again after it
  // may have been applied makes the revision larger than the keys are many.
  const { revision } = await client.getNamespace(namespace);
  const found = await client.listKeys(namespace);
  assert.ok(found.every((key) => acknowledged.has(key) || unknown.has(key)));
  assert.ok(revision <= BigInt(found.length), `${found.length} keys, and ${revision} writes`);
  await client.close();
  return leader;
}

test("the leader is killed", async (t) => {
  const leader = await endure(t, "killed", (leader) => leader.kill());
  leader.start();
  await leader.ready();
});

test("the leader is stopped and hands over", async (t) => {
  const leader = await endure(t, "stopped", (leader) => leader.stop());
  leader.start();
  await leader.ready();
});

test("the leader freezes: its connections stay, and it does not answer", async (t) => {
  const leader = await endure(t, "frozen", (leader) => leader.freeze(), { timeoutMs: 5_000 });
  leader.thaw();
});
