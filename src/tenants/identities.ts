// Who a caller is, by its credentials: each signature is looked at here, so that the caller that comes of them need not
// be checked again. What the caller may do is state of the group.

import { unreachable } from '../base/assert.ts';
import type { Credentials } from '../model/calls.ts';
import type { Caller } from '../model/store.ts';
import { type KeyRing, looksCut, type TenantKey } from './key-text.ts';
import type { TokenRing, UserToken } from './token-text.ts';

export type Identified =
  | { readonly kind: 'caller'; readonly tenant: string; readonly caller: Caller }
  | { readonly kind: 'failed'; readonly failure: IdentityFailure };

/** What is wrong with credentials. Each is a failure of the wire, too. */
export type IdentityFailure =
  | { readonly kind: 'accessKeyMissing' }
  /** Not of the form of a key, or not one that this service made. */
  | { readonly kind: 'accessKeyInvalid'; readonly given: 'operatorToken' | 'cutKey' | 'otherScheme' | 'other' };

export class Identities {
  readonly #keys: KeyRing;
  readonly #tokens: TokenRing;
  readonly #isOperatorToken: (text: string) => boolean;

  /** `isOperatorToken` is there for the error: whoever sends the operator's token in place of a key is told so. */
  constructor(keys: KeyRing, tokens: TokenRing, isOperatorToken: (text: string) => boolean = () => false) {
    this.#keys = keys;
    this.#tokens = tokens;
    this.#isOperatorToken = isOperatorToken;
  }

  /** Who calls, by these credentials. Every signature is checked. */
  identify(credentials: Credentials): Identified {
    switch (credentials.kind) {
      case 'none':
        return { kind: 'failed', failure: { kind: 'accessKeyMissing' } };
      case 'alone':
        return this.#alone(credentials.text);
      case 'named':
        return this.#named(credentials.key, credentials.token);
      default:
        return unreachable(credentials);
    }
  }

  /** The key that was given as the password of a login; null: the password is not a key of this service. */
  keyOf(password: string): TenantKey | null {
    return this.#keys.verify(password);
  }

  #invalid(text: string): Identified {
    return { kind: 'failed', failure: invalidKey(text, this.#isOperatorToken) };
  }

  #alone(text: string): Identified {
    const key = this.#keys.verify(text);
    if (key !== null) return speaksForItself(key);
    const token = this.#tokens.verify(text);
    if (token?.use !== 'alone') return this.#invalid(text);
    const { tenant, name, authRevision } = token;
    return { kind: 'caller', tenant, caller: { kind: 'user', id: '', name, authRevision } };
  }

  #named(keyText: string, tokenText: string | null): Identified {
    const key = this.#keys.verify(keyText);
    if (key === null) return this.#invalid(keyText);
    if (tokenText === null) return anonymous(key, 'none');
    const token = this.#tokens.verify(tokenText);
    if (token !== null) return userBeside(key, token);
    const second = this.#keys.verify(tokenText);
    return second?.tenant === key.tenant ? speaksForItself(second) : anonymous(key, 'invalid');
  }
}

/** Why that text is no key, as far as its form tells. No signature is looked at, so nothing is told of any tenant. */
export function invalidKey(text: string, isOperatorToken: (text: string) => boolean): IdentityFailure {
  if (isOperatorToken(text)) return { kind: 'accessKeyInvalid', given: 'operatorToken' };
  const hasOtherScheme = /^\S+ +\S/.test(text);
  if (hasOtherScheme) return { kind: 'accessKeyInvalid', given: 'otherScheme' };
  return { kind: 'accessKeyInvalid', given: looksCut(text) ? 'cutKey' : 'other' };
}

function speaksForItself({ tenant, keyId }: TenantKey): Identified {
  return { kind: 'caller', tenant, caller: { kind: 'accessKey', id: keyId } };
}

function anonymous({ tenant, keyId }: TenantKey, token: 'none' | 'invalid'): Identified {
  return { kind: 'caller', tenant, caller: { kind: 'anonymous', id: keyId, token } };
}

function userBeside(key: TenantKey, { tenant, name, authRevision }: UserToken): Identified {
  if (tenant !== key.tenant) return anonymous(key, 'invalid');
  return { kind: 'caller', tenant, caller: { kind: 'user', id: key.keyId, name, authRevision } };
}
