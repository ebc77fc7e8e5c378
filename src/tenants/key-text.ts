// An access key as text: `qrt_<tenant>_<key id>_<secret>`. The secret is a signature of the rest. What the key may do,
// and whether it was revoked, is state of the tenant's group.

import { verifiedKeysCachedMax } from '../limits.ts';
import { base32, signatureForm, type Signatures } from './signatures.ts';

export type TenantKey = { readonly tenant: string; readonly keyId: string };

const keyPattern = new RegExp(`^qrt_([a-z0-9]{1,32})_([a-z0-9]{1,32})_(${signatureForm})$`);

/** The text begins as a key does, and has not the form of a whole one. */
export function looksCut(text: string): boolean {
  return text.startsWith('qrt_') && !keyPattern.test(text);
}

/** The characters of a random id, of a tenant or of a key: 12 of 5 bits each. */
export function newId(): string {
  return base32(crypto.getRandomValues(new Uint8Array(8))).slice(0, 12);
}

export class KeyRing {
  readonly #signatures: Signatures;
  readonly #verified = new Map<string, TenantKey>();

  constructor(signatures: Signatures) {
    this.#signatures = signatures;
  }

  issue(key: TenantKey): string {
    return `qrt_${key.tenant}_${key.keyId}_${this.#signatures.sign(messageOf(key))}`;
  }

  /**
   * Null: the text is no key, or not one that this service signed. Good keys are remembered, so the hot path computes
   * no MAC.
   */
  verify(text: string): TenantKey | null {
    const verified = this.#verified.get(text);
    if (verified !== undefined) return verified;
    const [, tenant, keyId, secret] = keyPattern.exec(text) ?? [];
    if (tenant === undefined || keyId === undefined || secret === undefined) return null;
    const key = { tenant, keyId };
    if (!this.#signatures.verify(messageOf(key), secret)) return null;
    if (this.#verified.size >= verifiedKeysCachedMax) this.#verified.clear();
    this.#verified.set(text, key);
    return key;
  }
}

function messageOf(key: TenantKey): string {
  return `quorate key v1 ${key.tenant} ${key.keyId}`;
}
