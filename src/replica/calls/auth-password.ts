// Passwords of etcd's users: PBKDF2 with HMAC-SHA-256 (RFC 8018), with a salt for each. Only the text of a hash is ever
// stored or written to the log: `pbkdf2-sha256$<iterations>$<salt>$<key>`, salt and key in base64. It is slow on
// purpose, and so never on the way of data.

import { Buffer } from 'node:buffer';
import { base64, utf8 } from '../../base/bytes.ts';
import { passwordBytesMax, passwordIterations, passwordIterationsMax } from '../../limits.ts';

const algorithm = 'pbkdf2-sha256';
const saltBytes = 16;
const keyBits = 256;

export async function hashPassword(password: string): Promise<string> {
  const salt = crypto.getRandomValues(new Uint8Array(saltBytes));
  const key = await derive(password, salt, passwordIterations);
  return [algorithm, passwordIterations, base64(salt), base64(key)].join('$');
}

/** It is false, too, for the hash "", which no password fits, and takes as long for it as for any other. */
export async function passwordFits(password: string, hash: string): Promise<boolean> {
  const [name, iterationsText, saltText = '', keyText = ''] = hash.split('$');
  const iterations = Number(iterationsText);
  const isKnown = name === algorithm && iterations >= 1 && iterations <= passwordIterationsMax;
  const expected = Buffer.from(isKnown ? keyText : '', 'base64');
  const salt = isKnown ? Buffer.from(saltText, 'base64') : new Uint8Array(saltBytes);
  const key = await derive(password, salt, isKnown ? iterations : passwordIterations);
  // bcrypt, which etcd uses, takes no longer password, so no hash is that of one.
  if (utf8(password).byteLength > passwordBytesMax) return false;
  return expected.byteLength === key.byteLength && differenceOf(expected, key) === 0;
}

/** Compares in a time that does not tell where the two differ. */
function differenceOf(left: Uint8Array, right: Uint8Array): number {
  let difference = 0;
  for (const [place, byte] of left.entries()) difference |= byte ^ (right[place] ?? 0);
  return difference;
}

async function derive(password: string, salt: Uint8Array, iterations: number): Promise<Uint8Array> {
  const secret = await crypto.subtle.importKey('raw', utf8(password), 'PBKDF2', false, ['deriveBits']);
  const parameters = { name: 'PBKDF2', hash: 'SHA-256', salt, iterations };
  return new Uint8Array(await crypto.subtle.deriveBits(parameters, secret, keyBits));
}
