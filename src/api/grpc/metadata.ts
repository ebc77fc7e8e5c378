// What a client says beside its messages: who it is, and how long it waits.

import type { RequestHeaders } from '../contract.ts';

/** The headers of a call by JSON that say the same. Names and values alternate. */
export type CredentialHeaders = readonly string[];

/**
 * `listenerKey`: the access key in whose name the port speaks; null: the caller brings its own. The key of the port, or
 * one in `quorate-key`, names the tenant and bounds the call, and a token names the user. A key in `authorization`
 * speaks for itself, unless a `token` comes beside it.
 */
export function credentialHeaders(metadata: RequestHeaders, listenerKey: string | null): CredentialHeaders {
  const token = metadata.get('token');
  const authorization = metadata.get('authorization');
  const key = listenerKey ?? metadata.get('quorate-key');
  if (key !== null) return ['Quorate-Key', key, ...tokenHeader(token ?? authorization)];
  if (authorization === null) return tokenHeader(token);
  if (token === null) return ['Authorization', authorization];
  return ['Quorate-Key', authorization.replace(/^bearer +/i, ''), ...tokenHeader(token)];
}

function tokenHeader(token: string | null): CredentialHeaders {
  return token === null ? [] : ['Grpc-Metadata-Token', token];
}

const timeoutForm = /^(\d{1,8})([HMSmun])$/;
const millisecondsPerUnit = new Map([
  ['H', 3_600_000],
  ['M', 60_000],
  ['S', 1_000],
  ['m', 1],
  ['u', 1e-3],
  ['n', 1e-6],
]);

export type Timeout =
  | { readonly kind: 'none' }
  | { readonly kind: 'after'; readonly timeoutMs: number }
  | { readonly kind: 'malformed' };

/** gRPC's own form has at most eight digits, and no sign. */
export function parseTimeout(text: string | null): Timeout {
  if (text === null) return { kind: 'none' };
  const [, count, unit = ''] = timeoutForm.exec(text) ?? [];
  const perUnit = millisecondsPerUnit.get(unit);
  if (count === undefined || perUnit === undefined) return { kind: 'malformed' };
  return { kind: 'after', timeoutMs: Math.ceil(Number(count) * perUnit) };
}
