import { expect, test } from 'vitest';
import { type Closing, closeFrameOf } from '../../src/api/close-frames.ts';
import { closeReasonBytesMax } from '../../src/limits.ts';

const closings: readonly (readonly [Closing, number])[] = [
  [{ kind: 'badRequest', detail: 'no' }, 4400],
  [{ kind: 'accessKeyMissing' }, 4401],
  [{ kind: 'unauthenticated', reason: 'revoked' }, 4401],
  [{ kind: 'forbidden', need: 'read', prefix: null }, 4403],
  [{ kind: 'notFound', near: [] }, 4404],
  [{ kind: 'tenantDeleted' }, 4404],
  [{ kind: 'compacted', compactedRevision: 7 }, 4410],
  [{ kind: 'overloaded' }, 4429],
  [{ kind: 'internal' }, 4500],
  [{ kind: 'noLeader' }, 4503],
  [{ kind: 'leaderChanged' }, 4503],
  [{ kind: 'timeout' }, 4504],
  [{ kind: 'slow', resume: 9 }, 4408],
  [{ kind: 'eventsTooLarge' }, 4413],
  [{ kind: 'restarted' }, 1012],
];

test('SOCKET-2: a failure closes a socket with 4000 and its status, and its detail is the reason', () => {
  for (const [closing, code] of closings) {
    const frame = closeFrameOf(closing);
    expect(frame.code, closing.kind).toBe(code);
    expect(frame.reason.length, closing.kind).toBeGreaterThan(1);
  }
  expect(closeFrameOf({ kind: 'badRequest', detail: 'say what to watch' }).reason).toBe('say what to watch');
});

function reasonOf(detail: string): string {
  return closeFrameOf({ kind: 'badRequest', detail }).reason;
}

test('SOCKET-2: a reason has closeReasonBytesMax bytes at most, and no character is cut in two', () => {
  expect(reasonOf('x'.repeat(closeReasonBytesMax))).toBe('x'.repeat(closeReasonBytesMax));
  expect(reasonOf('x'.repeat(closeReasonBytesMax + 1))).toBe('x'.repeat(closeReasonBytesMax));
  expect(reasonOf('€'.repeat(41))).toBe('€'.repeat(41));
  expect(reasonOf(`x${'€'.repeat(41)}`)).toBe(`x${'€'.repeat(40)}`);
  expect(reasonOf(`${'x'.repeat(120)}😀`)).toBe('x'.repeat(120));
});
