// Base64 as Go's protojson takes it (encoding/protojson, unmarshalBytes): either alphabet but not both, padded or not,
// line ends passed over. The input is a byte string (each character one byte), so that a body is decoded without a copy
// of it.

import { Buffer } from 'node:buffer';

const standard = 0x40;
const urlSafe = 0x80;
const invalid = 0x100;

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const sextets = new Uint16Array(256).fill(invalid);
for (const [value, character] of alphabet.split('').entries()) {
  sextets[character.charCodeAt(0)] = value;
}
sextets['+'.charCodeAt(0)] = 62 | standard;
sextets['/'.charCodeAt(0)] = 63 | standard;
sextets['-'.charCodeAt(0)] = 62 | urlSafe;
sextets['_'.charCodeAt(0)] = 63 | urlSafe;

const padding = '='.charCodeAt(0);

/** From this length on the platform's decoder is faster than a loop. Its result is checked by its length. */
const nativeFrom = 1_024;

/** The bytes that `text[start, end)` stands for, or null. Line ends are refused; `decodeBase64` passes over them. */
export function decodeBase64Range(text: string, start: number, end: number): Uint8Array | null {
  const length = end - start;
  let last = end;
  if ((length & 3) === 0 && length > 0 && text.charCodeAt(end - 1) === padding) {
    last = text.charCodeAt(end - 2) === padding ? end - 2 : end - 1;
  }
  const remainder = (last - start) & 3;
  if (remainder === 1) return null;
  const size = ((last - start) >> 2) * 3 + (remainder === 0 ? 0 : remainder - 1);
  if (size > nativeFrom) return decodeNatively(text.slice(start, last), size);
  const bytes = new Uint8Array(size);
  let flags = 0;
  let offset = 0;
  let position = start;
  for (const whole = last - remainder; position < whole; position += 4) {
    const a = sextet(text, position);
    const b = sextet(text, position + 1);
    const c = sextet(text, position + 2);
    const d = sextet(text, position + 3);
    flags |= a | b | c | d;
    bytes[offset++] = (a << 2) | ((b >> 4) & 3);
    bytes[offset++] = (b << 4) | ((c >> 2) & 15);
    bytes[offset++] = (c << 6) | (d & 63);
  }
  if (remainder > 0) {
    const a = sextet(text, position);
    const b = sextet(text, position + 1);
    flags |= a | b;
    bytes[offset++] = (a << 2) | ((b >> 4) & 3);
    if (remainder === 3) {
      const c = sextet(text, position + 2);
      flags |= c;
      bytes[offset++] = (b << 4) | ((c >> 2) & 15);
    }
  }
  return flags >= invalid || (flags & (standard | urlSafe)) === (standard | urlSafe) ? null : bytes;
}

/** Decodes as Go does: line ends are passed over anywhere, but count for whether the text must be padded. */
export function decodeBase64(text: string): Uint8Array | null {
  if (!text.includes('\n') && !text.includes('\r')) return decodeBase64Range(text, 0, text.length);
  const joined = text.replaceAll(/[\r\n]/g, '');
  const padded = (text.length & 3) === 0;
  if (padded ? (joined.length & 3) !== 0 : joined.includes('=')) return null;
  return decodeBase64Range(joined, 0, joined.length);
}

function sextet(text: string, position: number): number {
  // A character beyond the table can only come from text that is not a byte string.
  return sextets[text.charCodeAt(position)] ?? invalid;
}

/** Node's decoder passes over what is not base64 and stops at padding, so a text with either gives too few bytes. */
function decodeNatively(text: string, size: number): Uint8Array | null {
  const isStandard = text.includes('+') || text.includes('/');
  if (isStandard && (text.includes('-') || text.includes('_'))) return null;
  const bytes = Buffer.from(text, 'base64');
  return bytes.byteLength === size ? new Uint8Array(bytes.buffer, bytes.byteOffset, size) : null;
}
