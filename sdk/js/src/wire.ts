/** The protobuf wire format, as far as the API needs it. */

/** Wire types: how the value behind a tag is written. */
export const VARINT = 0;
const FIXED64 = 1;
export const BYTES = 2;
const FIXED32 = 5;

const EMPTY = Buffer.alloc(0);

/** Writer collects the fields of a message. */
export class Writer {
  readonly #chunks: Buffer[] = [];

  /** tag begins a field. */
  tag(number: number, type: number): void {
    this.varint(number * 8 + type);
  }

  /** varint writes a number that is not negative: a bigint, or an integer that a number holds exactly. */
  varint(value: number | bigint): void {
    const bytes: number[] = [];
    let rest = BigInt(value);
    for (; rest > 0x7fn; rest >>= 7n) {
      bytes.push(Number(rest & 0x7fn) | 0x80);
    }
    bytes.push(Number(rest));
    this.#chunks.push(Buffer.from(bytes));
  }

  /** bytes writes a length and that many bytes. They are not copied before finish. */
  bytes(value: Uint8Array): void {
    this.varint(value.byteLength);
    this.#chunks.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
  }

  finish(): Buffer {
    return this.#chunks.length === 0 ? EMPTY : Buffer.concat(this.#chunks);
  }
}

/** Reader reads the fields of a message. It throws on what is none: cut off, or not written as protobuf is. */
export class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** done reports whether all has been read. */
  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** varint reads a number of up to 64 bits. */
  varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) {
        throw new Error("a message is cut off in a number");
      }
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) {
        return BigInt.asUintN(64, value);
      }
    }
    throw new Error("a number is longer than 64 bits");
  }

  /** size reads a tag or a length. */
  size(): number {
    const byte = this.#bytes[this.#at];
    if (byte !== undefined && byte < 0x80) {
      this.#at++;
      return byte;
    }
    const value = this.varint();
    if (value > 0xffff_ffffn) {
      throw new Error("a tag or a length is beyond 32 bits");
    }
    return Number(value);
  }

  /** bytes reads a length and that many bytes. They share the memory of the message. */
  bytes(): Buffer {
    const size = this.size();
    return this.#take(size);
  }

  /** skip passes over the value of a field that is not known here: a newer server may send some. */
  skip(type: number): void {
    switch (type) {
      case VARINT:
        this.varint();
        return;
      case FIXED64:
        this.#take(8);
        return;
      case BYTES:
        this.bytes();
        return;
      case FIXED32:
        this.#take(4);
        return;
      default:
        throw new Error(`a field has the wire type ${type}, which there is not`);
    }
  }

  #take(size: number): Buffer {
    if (size > this.#bytes.length - this.#at) {
      throw new Error("a message is cut off");
    }
    const taken = this.#bytes.subarray(this.#at, this.#at + size);
    this.#at += size;
    return taken;
  }
}
