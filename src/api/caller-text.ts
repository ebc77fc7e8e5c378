// A caller as text: for a header, for the attachment of a socket, and for whoever counts what a caller holds.

import { unreachable } from '../base/assert.ts';
import type { Caller } from '../model/store.ts';

/**
 * A caller as words between spaces. An id has no space, and a name is percent-encoded, because a header takes only
 * visible ASCII.
 */
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

/** Who shares slots and memory: all callers with one access key, or all calls of one user where no key was sent. */
export function ownerText(caller: Caller): string {
  if (caller.kind === 'service') return 'service';
  if (caller.id !== '') return `key ${caller.id}`;
  return caller.kind === 'user' ? `user ${caller.name}` : 'nobody';
}

/** null where the text is not one that `callerText` made. */
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
