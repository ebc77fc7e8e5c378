// A tenant's key as text: `qrt_<tenant>_<key id>_<secret>`. The secret is a MAC over the rest, so that a forged key is told
// from a good one with the service's secret alone, and nothing secret is stored. What the key may do, and whether it was
// revoked, is state of the tenant's group.

import { verifiedKeysCachedMax } from '../limits.ts';

export type TenantKey = { readonly tenant: string; readonly keyId: string };

/** 160 of the MAC's 256 bits: 32 characters. */
const secretBytes = 20;
const keyPattern = /^qrt_([a-z0-9]{1,32})_([a-z0-9]{1,32})_([a-z2-7]{32})$/;
const base32Alphabet = 'abcdefghijklmnopqrstuvwxyz234567';

/** Of random bits: 12 characters of 5 bits each for tenants and keys alike. */
export function newId(): string {
  return base32(crypto.getRandomValues(new Uint8Array(8))).slice(0, 12);
}

export class KeyRing {
  readonly #secrets: readonly Promise<CryptoKey>[];
  readonly #verified = new Map<string, TenantKey>();

  /** `serviceSecret` may hold several, separated by commas: the first signs, all of them are accepted. */
  constructor(serviceSecret: string) {
    this.#secrets = serviceSecret
      .split(',')
      .filter((secret) => secret !== '')
      .map((secret) =>
        crypto.subtle.importKey('raw', new TextEncoder().encode(secret), { name: 'HMAC', hash: 'SHA-256' }, false, [
          'sign',
        ]),
      );
  }

  async issue(key: TenantKey): Promise<string> {
    const signing = this.#secrets[0];
    if (signing === undefined) throw new Error('SERVICE_SECRET is not set');
    return `qrt_${key.tenant}_${key.keyId}_${await macOf(await signing, key)}`;
  }

  /** The key, if this ring verified the text before; saves the hot path the MAC. */
  verifiedBefore(text: string): TenantKey | null {
    return this.#verified.get(text) ?? null;
  }

  /** null: not a key, or not one that this service signed. */
  async verify(text: string): Promise<TenantKey | null> {
    const [, tenant, keyId, secret] = keyPattern.exec(text) ?? [];
    if (tenant === undefined || keyId === undefined || secret === undefined) return null;
    const key = { tenant, keyId };
    for (const signing of this.#secrets) {
      if (!(await equalSecrets(secret, await macOf(await signing, key)))) continue;
      if (this.#verified.size >= verifiedKeysCachedMax) this.#verified.clear();
      this.#verified.set(text, key);
      return key;
    }
    return null;
  }
}

/** Compares digests, so that the time taken tells nothing of how much of a guess was right. */
export async function equalSecrets(left: string, right: string): Promise<boolean> {
  const [leftDigest, rightDigest] = await Promise.all([sha256(left), sha256(right)]);
  let difference = 0;
  for (let place = 0; place < leftDigest.length; place++) {
    difference |= (leftDigest[place] ?? 0) ^ (rightDigest[place] ?? 0);
  }
  return difference === 0;
}

async function sha256(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));
}

async function macOf(signing: CryptoKey, key: TenantKey): Promise<string> {
  const message = new TextEncoder().encode(`quorate key v1 ${key.tenant} ${key.keyId}`);
  const mac = new Uint8Array(await crypto.subtle.sign('HMAC', signing, message));
  return base32(mac.subarray(0, secretBytes));
}

/** RFC 4648's alphabet in lower case, without padding. */
function base32(bytes: Uint8Array): string {
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
