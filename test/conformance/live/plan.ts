// What a random session is made of before anybody answered: steps in order, which may be left out one by one when a
// session that failed is made shorter. Values that only a server can choose stand as `${name}` and are captured on each
// side.

import type { Body, Call, Json } from '../conversation.ts';

/** Which value of an answer later steps send again. */
export type Capture =
  /** Differs from server to server: etcd's own token or lease ID. */
  | { readonly kind: 'own'; readonly name: string; readonly member: 'token' | 'ID' }
  /** The same on every server, but not known beforehand: the revision of a candidate. */
  | { readonly kind: 'shared'; readonly name: string; readonly path: readonly string[] };

export type Planned =
  | { readonly kind: 'call'; readonly call: Call; readonly capture: Capture | null }
  /**
   * A call whose answer may stay away until a later step; `place` is the range that shows that it has begun to wait.
   */
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
