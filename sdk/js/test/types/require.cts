// The same package by require.
import primatomic = require("primatomic");

const client = new primatomic.Client("host:443");

export async function read(): Promise<Buffer | undefined> {
  try {
    return await client.getKey("myapp", "k");
  } catch (failed) {
    if (failed instanceof primatomic.NotFound) {
      return undefined;
    }
    throw failed;
  }
}
