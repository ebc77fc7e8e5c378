// What a caller sends to say who it is: in headers only, never in a URL. This file knows the forms that browsers, curl
// and etcd's clients can send; what they say is for whoever has the service's secret to find out.

import type { RequestHeaders } from './contract.ts';
import type { Credentials } from '../model/calls.ts';

export function credentialsOf(headers: RequestHeaders): Credentials {
  const key = headers.get('Quorate-Key');
  if (key !== null) return { kind: 'named', key: key.trim(), token: tokenOf(headers) };
  const authorization = authorizationOf(headers);
  const text = authorization === null ? subprotocolOf(headers) : secretOf(authorization.trim());
  return text === null ? { kind: 'none' } : { kind: 'alone', text };
}

/**
 * The tenant that a key or a token names by its form; null: it names no tenant. Nothing says that the text is good:
 * only whoever has the service's secret knows that.
 */
export function tenantNamedBy(credentials: Credentials): string | null {
  return /^qr[tu]_([a-z0-9]{1,32})_/.exec(textOf(credentials))?.[1] ?? null;
}

/** The key or the token by which the caller is known, whichever header it came in. Empty: none was sent. */
export function textOf(credentials: Credentials): string {
  if (credentials.kind === 'none') return '';
  return credentials.kind === 'named' ? credentials.key : credentials.text;
}

/** The text of the access key, for calls that take nothing else. It is as the caller sent it; null: no key was sent. */
export function keyTextOf(headers: RequestHeaders): string | null {
  const credentials = credentialsOf(headers);
  return credentials.kind === 'none' ? null : textOf(credentials);
}

/** The text that was sent as a bearer token, which may be the operator's token. */
export function bearerOf(headers: RequestHeaders): string | null {
  const [, token] = /^Bearer +(\S+)$/i.exec(headers.get('Authorization')?.trim() ?? '') ?? [];
  return token ?? null;
}

/**
 * The token of a user of etcd's. The header that etcd's gateway passes on as metadata goes before `Authorization`, and
 * exactly "Bearer " is taken off. On a WebSocket the cookie goes before the subprotocol, as in grpc-websocket-proxy. A
 * cookie counts only beside a key, so that no other site can use it.
 */
function tokenOf(headers: RequestHeaders): string | null {
  const upgrades = headers.get('Upgrade')?.toLowerCase() === 'websocket';
  const upgraded = upgrades ? (cookieOf(headers) ?? subprotocolOf(headers)) : null;
  const token = upgraded ?? headers.get('Grpc-Metadata-Token') ?? authorizationOf(headers);
  return token?.startsWith('Bearer ') === true ? token.slice('Bearer '.length) : token;
}

function authorizationOf(headers: RequestHeaders): string | null {
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
function subprotocolOf(headers: RequestHeaders): string | null {
  const protocols = headers.get('Sec-WebSocket-Protocol')?.split(',');
  if (protocols?.[0]?.trim().toLowerCase() !== 'bearer') return null;
  return protocols[1]?.trim() ?? '';
}

function cookieOf(headers: RequestHeaders): string | null {
  for (const cookie of headers.get('Cookie')?.split(';') ?? []) {
    const [name, value] = cookie.trim().split(/=(.*)/s);
    if (name === 'token') return value ?? '';
  }
  return null;
}
