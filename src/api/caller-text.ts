// A caller as text: for a header, for what a sleeping object remembers of a socket, and for whoever counts what callers
// hold.

import { unreachable } from '../base/assert.ts';
import type { Caller } from '../model/store.ts';

/** Ids and words have no space; a name is percent-encoded: a header takes visible ASCII. */
export function callerText(caller: Caller): string {
  switch (caller.kind) {
    case 'service':
      return 'service';
    case 'accessKey':
      return `accessKey ${caller.id}`;
    case 'user':
      return `user ${caller.id} ${caller.authRevision} ${encodeURIComponent(caller.name.toWellFormed())}`;
    case 'anonymous':
      return `anonymous ${caller.id} ${caller.token}`;
    default:
      return unreachable(caller);
  }
}

/** Who shares places, and memory: the callers of one access key, or, where a user came without one, of that user. */
export function ownerText(caller: Caller): string {
  if (caller.kind === 'service') return 'service';
  if (caller.id !== '') return `key ${caller.id}`;
  return caller.kind === 'user' ? `user ${caller.name}` : 'nobody';
}

/** null: nothing that `callerText` wrote. */
export function parseCaller(text: string): Caller | null {
  const [kind = '', id = '', second = '', third = ''] = text.split(' ');
  switch (kind) {
    case 'service':
      return { kind };
    case 'accessKey':
      return { kind, id };
    case 'user':
      return { kind, id, name: decodeURIComponent(third), authRevision: Number(second) };
    case 'anonymous':
      return { kind, id, token: second === 'none' ? 'none' : 'invalid' };
    default:
      return null;
  }
}
