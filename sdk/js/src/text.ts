import { types } from "node:util";

import { InvalidArgument } from "./errors.js";

/** Bytes is what keys and values are given as: bytes, or text, which stands for its UTF-8. */
export type Bytes = Uint8Array | string;

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * bytesOf returns the bytes of what is given. Text with half of a surrogate pair has no UTF-8, and is refused: two such
 * keys would become one.
 */
export function bytesOf(what: string, given: Bytes): Uint8Array {
  if (types.isUint8Array(given)) {
    return given;
  }
  if (typeof given !== "string") {
    throw new InvalidArgument(`${what} must be a string or a Uint8Array`);
  }
  if (/\p{Surrogate}/u.test(given)) {
    throw new InvalidArgument(`${what} is no text: half of a surrogate pair stands alone`);
  }
  return Buffer.from(given);
}

/** textOf returns the text whose UTF-8 the bytes are, or undefined if there is none. */
export function textOf(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}
