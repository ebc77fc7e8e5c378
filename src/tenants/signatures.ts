// Signatures of the service. The service tells its own signature from a forgery with its secret alone: it looks nothing
// up, and stores nothing secret.

import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/** 160 of the 256 bits of the MAC make 32 characters. */
const signatureBytes = 20;
const base32Alphabet = 'abcdefghijklmnopqrstuvwxyz234567';

/** The pattern of a signature as text, for the patterns of what carries one. */
export const signatureForm = '[a-z2-7]{32}';

export class Signatures {
  readonly #secrets: readonly string[];

  /**
   * `serviceSecret` may hold several secrets, separated by commas. The first one signs, and signatures by any of them
   * are accepted.
   */
  constructor(serviceSecret: string) {
    this.#secrets = serviceSecret.split(',').filter((secret) => secret !== '');
  }

  sign(message: string): string {
    return signatureOf(this.#signing, message);
  }

  /** A number of 64 bits that nobody can compute without the secret, the same for the same message. */
  numberOf(message: string): bigint {
    return createHmac('sha256', this.#signing).update(message).digest().readBigUInt64BE();
  }

  verify(message: string, signature: string): boolean {
    return this.#secrets.some((secret) => equalSecrets(signature, signatureOf(secret, message)));
  }

  get #signing(): string {
    const signing = this.#secrets[0];
    if (signing === undefined) throw new Error('SERVICE_SECRET is not set');
    return signing;
  }
}

/** Compares digests, so that the time that it takes does not tell how much of a guess was right. */
export function equalSecrets(left: string, right: string): boolean {
  return timingSafeEqual(sha256(left), sha256(right));
}

function sha256(text: string): Uint8Array {
  return createHash('sha256').update(text).digest();
}

/**
 * HMAC-SHA-256 (RFC 2104) without a Promise: a value that requests of an isolate share must not wait for the I/O of one
 * of them.
 */
function signatureOf(secret: string, message: string): string {
  return base32(createHmac('sha256', secret).update(message).digest().subarray(0, signatureBytes));
}

/** RFC 4648's alphabet in lower case, without padding. */
export function base32(bytes: Uint8Array): string {
  let text = '';
  let bits = 0;
  let pending = 0;
  for (const byte of bytes) {
    pending = (pending << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += base32Alphabet.charAt((pending >> bits) & 31);
    }
    pending &= (1 << bits) - 1;
  }
  return bits === 0 ? text : text + base32Alphabet.charAt((pending << (5 - bits)) & 31);
}
