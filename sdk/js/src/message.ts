import { BYTES, Reader, VARINT, Writer } from "./wire.js";

/** Kind is what a field holds: a scalar, or another message. */
export type Kind = "string" | "bytes" | "bool" | "int32" | "uint64" | Message<object>;

/** Field describes one field of a message. */
export interface Field {
  readonly number: number;
  readonly name: string;
  readonly kind: Kind;
  /** one: a missing value is the kind's zero; maybe: it is undefined; many: a list. */
  readonly times: "one" | "maybe" | "many";
}

/** Message turns values of type T into protobuf and back, by the table of its fields. */
export class Message<T extends object> {
  readonly #fields: readonly Field[];
  readonly #byNumber: ReadonlyMap<number, Field>;

  constructor(fields: readonly Field[]) {
    this.#fields = fields;
    this.#byNumber = new Map(fields.map((field) => [field.number, field]));
  }

  /** encode writes what is given of a message. */
  encode(value: T): Buffer {
    const writer = new Writer();
    for (const field of this.#fields) {
      const given: unknown = (value as Record<string, unknown>)[field.name];
      const list = field.times === "many" ? ((given ?? []) as unknown[]) : given === undefined ? [] : [given];
      for (const element of list) {
        write(writer, field, element);
      }
    }
    return writer.finish();
  }

  /** decode reads a message. Bytes in it share the memory of what is read. It throws on what is no message. */
  decode(bytes: Buffer): T {
    const value: Record<string, unknown> = {};
    for (const field of this.#fields) {
      if (field.times !== "maybe") {
        value[field.name] = field.times === "many" ? [] : zero(field.kind);
      }
    }
    const reader = new Reader(bytes);
    while (!reader.done) {
      const tag = reader.size();
      const field = this.#byNumber.get(tag >>> 3);
      if (field === undefined || (tag & 7) !== wireType(field.kind)) {
        reader.skip(tag & 7);
      } else if (field.times === "many") {
        (value[field.name] as unknown[]).push(read(reader, field.kind));
      } else {
        value[field.name] = read(reader, field.kind);
      }
    }
    return value as T;
  }
}

function wireType(kind: Kind): number {
  return kind === "bool" || kind === "int32" || kind === "uint64" ? VARINT : BYTES;
}

function write(writer: Writer, field: Field, value: unknown): void {
  writer.tag(field.number, wireType(field.kind));
  switch (field.kind) {
    case "string":
      writer.bytes(Buffer.from(value as string));
      return;
    case "bytes":
      writer.bytes(value as Uint8Array);
      return;
    case "bool":
      writer.varint(value ? 1 : 0);
      return;
    case "int32":
      writer.varint(BigInt.asUintN(64, BigInt(value as number)));
      return;
    case "uint64":
      writer.varint(value as number | bigint);
      return;
    default:
      writer.bytes(field.kind.encode(value as object));
  }
}

function read(reader: Reader, kind: Kind): unknown {
  switch (kind) {
    case "string":
      return reader.bytes().toString();
    case "bytes":
      return reader.bytes();
    case "bool":
      return reader.varint() !== 0n;
    case "int32":
      return Number(BigInt.asIntN(32, reader.varint()));
    case "uint64":
      return reader.varint();
    default:
      return kind.decode(reader.bytes());
  }
}

function zero(kind: Kind): unknown {
  switch (kind) {
    case "string":
      return "";
    case "bytes":
      return Buffer.alloc(0);
    case "bool":
      return false;
    case "int32":
      return 0;
    case "uint64":
      return 0n;
    default:
      return undefined;
  }
}
