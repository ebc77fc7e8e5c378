// What the service signs, it can tell from a forgery with its own secret alone: no lookup, nothing secret stored.

/** 160 of the MAC's 256 bits: 32 characters. */
const signatureBytes = 20;
const base32Alphabet = 'abcdefghijklmnopqrstuvwxyz234567';

/** A signature's text, for the forms of what carries one. */
export const signatureForm = '[a-z2-7]{32}';

export class Signatures {
  readonly #secrets: readonly Promise<CryptoKey>[];

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

  async sign(message: string): Promise<string> {
    const signing = this.#secrets[0];
    if (signing === undefined) throw new Error('SERVICE_SECRET is not set');
    return macOf(await signing, message);
  }

  async verify(message: string, signature: string): Promise<boolean> {
    for (const signing of this.#secrets) {
      if (await equalSecrets(signature, await macOf(await signing, message))) return true;
    }
    return false;
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

async function macOf(signing: CryptoKey, message: string): Promise<string> {
  const mac = new Uint8Array(await crypto.subtle.sign('HMAC', signing, new TextEncoder().encode(message)));
  return base32(mac.subarray(0, signatureBytes));
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
