// Where a caller's key is: in headers only, never in a URL. Knows the forms that browsers, curl and etcd's clients can send.

import type { KeyRing, TenantKey } from '../tenants/key-text.ts';

/** The text of the key as it was sent, or null where none was. RFC 6750 (Bearer), RFC 7617 (Basic). */
export function keyTextOf(headers: Headers): string | null {
  const own = headers.get('Quorate-Key');
  if (own !== null) return own.trim();
  const authorization = headers.get('Authorization') ?? headers.get('Grpc-Metadata-Token');
  if (authorization !== null) return keyOfAuthorization(authorization.trim());
  const protocols = headers.get('Sec-WebSocket-Protocol');
  return protocols === null ? null : keyOfProtocols(protocols);
}

/** The key, checked against the service's secret. A Promise only where this isolate has not seen the key before. */
export function authenticate(ring: KeyRing, text: string): TenantKey | Promise<TenantKey | null> {
  return ring.verifiedBefore(text) ?? ring.verify(text);
}

/** The operator's token, sent as a bearer. */
export function bearerOf(headers: Headers): string | null {
  const [, token] = /^Bearer +(\S+)$/i.exec(headers.get('Authorization')?.trim() ?? '') ?? [];
  return token ?? null;
}

function keyOfAuthorization(value: string): string {
  if (/^bearer /i.test(value)) return value.slice(7).trim();
  if (!/^basic /i.test(value)) return value;
  try {
    const userAndPassword = atob(value.slice(6).trim());
    return userAndPassword.slice(userAndPassword.indexOf(':') + 1);
  } catch {
    return '';
  }
}

/** Browsers cannot set headers on a WebSocket: the key follows the protocol named Bearer. */
function keyOfProtocols(value: string): string | null {
  const protocols = value.split(',').map((protocol) => protocol.trim());
  return protocols[0]?.toLowerCase() === 'bearer' ? (protocols[1] ?? '') : null;
}
