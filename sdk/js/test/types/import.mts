// What a TypeScript program may and may not write. It is only compiled.
import * as primatomic from "primatomic";
import { Client, type Detail, NotFound, PrimatomicError, type TextKeys } from "primatomic";

const client: Client = new primatomic.Client("host:443", { jwtToken: "..." });
new Client(["n1:7379", "n2:7379"] as const, { jwtToken: async () => "...", timeoutMs: 1000 });
new Client("127.0.0.1:7379", { insecure: true, tls: undefined, jwt_token: () => "..." });
new Client("127.0.0.1:7379", { tls: { ca: new Uint8Array(), cert: "...", key: "...", serverName: "n1" } });

const nothing: void = await client.createNamespace("myapp", { timeoutMs: 100, signal: AbortSignal.timeout(1) });
await client.putKey("myapp", "session:abc123", Buffer.from("user_data"), { ttlMs: 3600000 });
await client.put_key("myapp", new Uint8Array([1]), "text", { ttl_ms: 1n });
const value: Buffer = await client.getKey("myapp", "k", { stale: true });
const bytes: Uint8Array = await client.get_key("myapp", "k");
await client.deleteKey("myapp", bytes);
const keys: string[] = await client.listKeys("myapp", { prefix: "user:", limit: 100 });
const listed: TextKeys = await client.list_keys("myapp");
const others: readonly Buffer[] = listed.others;
const raw: Buffer[] = await client.listKeys("myapp", { prefix: value, bytes: true });
const swapped: boolean = await client.compareAndSwap({ namespace: "a", key: "k", expectedValue: "", newValue: bytes });
await client.compareAndSwap("a", "k", "1", "2", { timeoutMs: 1 });
await client.compare_and_swap({ namespace: "a", key: "k", expected_value: "1", new_value: "2" }, { timeoutMs: 1 });
for await (const key of client.iterateKeys("myapp", { pageSize: 10 })) {
  await client.getKey("myapp", key);
}
for await (const key of client.iterateKeys("myapp", { bytes: true })) {
  raw.push(key);
}
const names: string[] = await client.listNamespaces();
const revision: bigint = (await client.getNamespace("myapp")).revision;
await client.dropNamespace("myapp");
await client[Symbol.asyncDispose]();
await client.close();

function judge(failed: unknown): [number, string, readonly Detail[], boolean] | undefined {
  if (failed instanceof NotFound || failed instanceof PrimatomicError) {
    return [failed.code, failed.reason, failed.details, failed.notApplied || failed.outcomeUnknown];
  }
  return undefined;
}

export const all = [nothing, keys, others, swapped, names, revision, judge];

// @ts-expect-error: an endpoint is needed
new Client();
// @ts-expect-error: there is no such option
new Client("host:443", { token: "..." });
// @ts-expect-error: numbers are no values
await client.putKey("myapp", "k", 1);
// @ts-expect-error: there is no such option
await client.putKey("myapp", "k", "v", { ttl: 1000 });
// @ts-expect-error: both values are needed
await client.compareAndSwap({ namespace: "a", key: "k", expectedValue: "1" });
// @ts-expect-error: keys as bytes are no strings
const wrong: string[] = await client.listKeys("myapp", { bytes: true });
// @ts-expect-error: writes are never stale
await client.deleteKey("myapp", "k", { stale: true });
