// What a random session is made of before any server answered: steps in order, which may be left out one by one when a
// session that failed is made shorter. A value that only a server can choose stands as `${name}` and is captured on
// each side.

import type { Body, Call, Json } from '../conversation.ts';

/** A value of an answer that later steps send again. */
export type Capture =
  /** The value differs from server to server: a token, or the id of a lease that the server chose. */
  | { readonly kind: 'own'; readonly name: string; readonly member: 'token' | 'ID' }
  /** The value is the same on every server, but is not known beforehand: the revision of a candidate. */
  | { readonly kind: 'shared'; readonly name: string; readonly path: readonly string[] };

export type Planned =
  | { readonly kind: 'call'; readonly call: Call; readonly capture: Capture | null }
  /** A call whose answer may not come before a later step. A read of `place` shows that the call has begun to wait. */
  | { readonly kind: 'wait'; readonly call: Call; readonly capture: Capture | null; readonly place: Json }
  /** A stream that answers and ends. */
  | { readonly kind: 'brief'; readonly call: Call }
  | { readonly kind: 'open'; readonly id: string; readonly as: 'post' | 'websocket'; readonly call: Call }
  | { readonly kind: 'send'; readonly id: string; readonly body: Body }
  | { readonly kind: 'gather' }
  | { readonly kind: 'progress'; readonly id: string }
  | { readonly kind: 'close'; readonly id: string };

export type Headers = Readonly<Record<string, string | null>>;

export function post(path: string, json: Json, headers: Headers = {}): Call {
  return { method: 'POST', path, headers, body: { kind: 'json', value: json } };
}

export function get(path: string): Call {
  return { method: 'GET', path, headers: {}, body: { kind: 'none' } };
}

export function planned(call: Call, capture: Capture | null = null): Planned {
  return { kind: 'call', call, capture };
}
