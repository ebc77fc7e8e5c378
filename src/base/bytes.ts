// Byte strings: comparison in etcd's key order, text, base64. A leaf: it knows nothing of keys, logs or requests.

import { Buffer } from 'node:buffer';

export const emptyBytes = new Uint8Array(0);

const encoder = new TextEncoder();
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** The text of the bytes. Null: they are not UTF-8. */
export function textOf(bytes: Uint8Array): string | null {
  try {
    return strictDecoder.decode(bytes);
  } catch {
    return null;
  }
}

/**
 * The order of unsigned bytes, with a prefix before the keys that it begins: the order of etcd's keys and of SQLite's
 * BLOBs.
 */
export function compareBytes(left: Uint8Array, right: Uint8Array): number {
  return Buffer.compare(left, right);
}

export function equalBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.byteLength === right.byteLength && compareBytes(left, right) === 0;
}

export function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  return bytes.byteLength >= prefix.byteLength && equalBytes(bytes.subarray(0, prefix.byteLength), prefix);
}

/**
 * The first key after all keys that begin with `prefix`. Null: there is none, because the prefix is empty or all 0xff.
 */
export function prefixEnd(prefix: Uint8Array): Uint8Array | null {
  for (let last = prefix.byteLength - 1; last >= 0; last--) {
    const byte = prefix[last];
    if (byte !== undefined && byte < 0xff) {
      const end = prefix.slice(0, last + 1);
      end[last] = byte + 1;
      return end;
    }
  }
  return null;
}

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  return joinBytes(parts);
}

/** Appends very many elements: as the arguments of one call, a hundred thousand do not fit the stack. */
export function joinBytes(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.byteLength;
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.byteLength;
  }
  return whole;
}

export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

/** One character for each byte (Latin-1): a form that a Map or a Set can hold, and that compares as the bytes do. */
export function keyText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

export function bytesOfKeyText(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'latin1'));
}
