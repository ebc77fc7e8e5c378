// What a caller sends to say who it is: in headers only, never in a URL. This file knows the forms that browsers, curl
// and etcd's clients can send, and makes of them a caller whose signatures the replicas need not check again.

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

/** The text of the access key, for calls that take nothing else. It is as the caller sent it; null: no key was sent. */
export function keyTextOf(headers: Headers): string | null {
  const credentials = credentialsOf(headers);
  if (credentials.kind === 'none') return null;
  return credentials.kind === 'named' ? credentials.key : credentials.text;
}

/** The text that was sent as a bearer token, which may be the operator's token. */
export function bearerOf(headers: Headers): string | null {
  const [, token] = /^Bearer +(\S+)$/i.exec(headers.get('Authorization')?.trim() ?? '') ?? [];
  return token ?? null;
}

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
 * The token of a user of etcd's. The header that etcd's gateway passes on as metadata goes before `Authorization`, and
 * exactly "Bearer " is taken off. On a WebSocket the cookie goes before the subprotocol, as in grpc-websocket-proxy. A
 * cookie counts only beside a key, so that no other site can use it.
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

/** RFC 6750 (Bearer) and RFC 7617 (Basic, where the key is the password). */
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

/** Browsers cannot set headers on a WebSocket, so the key or the token follows the subprotocol named Bearer. */
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
