// What a caller sends to say who it is: in headers only, never in a URL. Knows the forms that browsers, curl and etcd's
// clients can send, and turns them into a caller that the replicas need not check again.

import type { Failure } from '../api/errors/errors.ts';
import { unreachable } from '../base/assert.ts';
import type { Credentials } from '../model/calls.ts';
import type { Caller } from '../model/store.ts';
import type { KeyRing, TenantKey } from '../tenants/key-text.ts';
import type { TokenRing, UserToken } from '../tenants/token-text.ts';

export type Identified =
  | { readonly kind: 'caller'; readonly tenant: string; readonly caller: Caller }
  | { readonly kind: 'failed'; readonly failure: Failure };

export function credentialsOf(headers: Headers): Credentials {
  const key = headers.get('Quorate-Key');
  if (key !== null) return { kind: 'named', key: key.trim(), token: tokenOf(headers) };
  const authorization = authorizationOf(headers);
  const text = authorization === null ? subprotocolOf(headers) : secretOf(authorization.trim());
  return text === null ? { kind: 'none' } : { kind: 'alone', text };
}

/** The text of the key for calls that know keys only: as it was sent, or null where none was. */
export function keyTextOf(headers: Headers): string | null {
  const credentials = credentialsOf(headers);
  if (credentials.kind === 'none') return null;
  return credentials.kind === 'named' ? credentials.key : credentials.text;
}

/** The operator's token, sent as a bearer. */
export function bearerOf(headers: Headers): string | null {
  const [, token] = /^Bearer +(\S+)$/i.exec(headers.get('Authorization')?.trim() ?? '') ?? [];
  return token ?? null;
}

export class Identities {
  readonly #keys: KeyRing;
  readonly #tokens: TokenRing;
  readonly #isOperatorToken: (text: string) => boolean;

  /** `isOperatorToken` serves to tell who sends the operator's token as a key what it is. */
  constructor(keys: KeyRing, tokens: TokenRing, isOperatorToken: (text: string) => boolean = () => false) {
    this.#keys = keys;
    this.#tokens = tokens;
    this.#isOperatorToken = isOperatorToken;
  }

  /** What these credentials say, with each signature looked at. */
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

  /** A key that was given as the password of a login. */
  keyOf(password: string): TenantKey | null {
    return this.#keys.verify(password);
  }

  #invalid(text: string): Identified {
    const given = this.#isOperatorToken(text) ? 'operatorToken' : 'other';
    return { kind: 'failed', failure: { kind: 'accessKeyInvalid', given } };
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

/**
 * etcd's token: its own metadata before `Authorization`, from which exactly "Bearer " is taken off. On a WebSocket, as
 * grpc-websocket-proxy has it, the cookie before the subprotocol. Cookies count only beside a key, so that no site can
 * use them.
 */
function tokenOf(headers: Headers): string | null {
  const upgrades = headers.get('Upgrade')?.toLowerCase() === 'websocket';
  const upgraded = upgrades ? (cookieOf(headers) ?? subprotocolOf(headers)) : null;
  const token = upgraded ?? headers.get('Grpc-Metadata-Token') ?? authorizationOf(headers);
  return token?.startsWith('Bearer ') === true ? token.slice('Bearer '.length) : token;
}

function authorizationOf(headers: Headers): string | null {
  return (
    headers.get('Authorization') ?? headers.get('Grpc-Metadata-Authorization') ?? headers.get('Grpc-Metadata-Token')
  );
}

/** RFC 6750 (Bearer), RFC 7617 (Basic: the key is the password). */
function secretOf(authorization: string): string {
  if (/^bearer /i.test(authorization)) return authorization.slice(7).trim();
  if (!/^basic /i.test(authorization)) return authorization;
  try {
    const userAndPassword = atob(authorization.slice(6).trim());
    return userAndPassword.slice(userAndPassword.indexOf(':') + 1);
  } catch {
    return '';
  }
}

/** Browsers cannot set headers on a WebSocket: the key, or the token, follows the protocol named Bearer. */
function subprotocolOf(headers: Headers): string | null {
  const protocols = headers.get('Sec-WebSocket-Protocol')?.split(',');
  if (protocols?.[0]?.trim().toLowerCase() !== 'bearer') return null;
  return protocols[1]?.trim() ?? '';
}

function cookieOf(headers: Headers): string | null {
  for (const cookie of headers.get('Cookie')?.split(';') ?? []) {
    const [name, value] = cookie.trim().split(/=(.*)/s);
    if (name === 'token') return value ?? '';
  }
  return null;
}
