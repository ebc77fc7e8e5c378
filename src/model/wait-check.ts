// The bounds of a wait, which are those of the same calls over HTTP. They are looked at behind every decoder of frames.

import { leaseSecondsMax, lockNameBytesMax, lockWaitSecondsMax, semaphoreLimitMax, writeBytesMax } from '../limits.ts';
import type { CallRefusal } from './call-check.ts';
import type { SessionWait } from './waits.ts';

/** null: only the store can refuse it. */
export function checkWait(wait: SessionWait): CallRefusal | null {
  const { byteLength } = wait.name;
  if (wait.kind === 'acquire') {
    if (byteLength >= 1 && byteLength <= lockNameBytesMax) return numbersOf(wait);
    return bad(`a name has 1 to ${lockNameBytesMax} bytes, and this one has ${byteLength}`);
  }
  if (byteLength > lockNameBytesMax) return tooLarge(byteLength, lockNameBytesMax);
  if (wait.kind === 'lock') return null;
  const bytes = byteLength + wait.value.byteLength;
  return bytes > writeBytesMax ? tooLarge(bytes, writeBytesMax) : null;
}

function numbersOf({ limit, waitMs, hold }: Extract<SessionWait, { readonly kind: 'acquire' }>): CallRefusal | null {
  if (limit < 1 || limit > semaphoreLimitMax) return bad(`limit must be from 1 to ${semaphoreLimitMax}, not ${limit}`);
  if (waitMs > lockWaitSecondsMax * 1_000) {
    return bad(`a wait has at most ${lockWaitSecondsMax * 1_000} ms, not ${waitMs}`);
  }
  if (hold.kind === 'lease') return hold.id === 0n ? bad('lease must not be 0') : null;
  const { ttlSeconds } = hold;
  if (ttlSeconds >= 1 && ttlSeconds <= leaseSecondsMax) return null;
  return bad(`ttl must be from 1 to ${leaseSecondsMax}, not ${ttlSeconds}`);
}

function bad(detail: string): CallRefusal {
  return { kind: 'badRequest', detail };
}

function tooLarge(bytes: number, bytesMax: number): CallRefusal {
  return { kind: 'requestTooLarge', bytes, bytesMax };
}
