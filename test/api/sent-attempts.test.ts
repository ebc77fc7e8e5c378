// What a sender knows of its attempts to deliver a write.

import { describe, expect, it } from 'vitest';
import { type AttemptEnd, SentAttempts } from '../../src/api/sent-attempts.ts';

function mayNextBeAlone(first: AttemptEnd): boolean {
  const sent = new SentAttempts();
  expect(sent.ended(sent.begin(), first)).toBe(true);
  return sent.begin().mayBeAlone;
}

describe('the attempts to deliver a write', () => {
  it('GATEWAY-30: after one that may have been done, or was, no refusal of another one is the last word', () => {
    expect(mayNextBeAlone('nothing')).toBe(true);
    expect(mayNextBeAlone('unknown')).toBe(false);
    // Seen in a run of the simulator: the answer came when its sender had turned to the next attempt.
    expect(mayNextBeAlone('done')).toBe(false);

    // The second attempt is refused after the first one was done.
    const sent = new SentAttempts();
    const [slow, quick] = [sent.begin(), sent.begin()];
    expect(sent.ended(slow, 'done')).toBe(true);
    expect(sent.ended(quick, 'refused')).toBe(false);
    expect(sent.begin().mayBeAlone).toBe(false);
  });

  it('GATEWAY-41: another count is taken up to twice, and while no attempt with a count may have been done', () => {
    const sent = new SentAttempts();
    const cold = sent.begin();
    const other = sent.begin();
    expect([cold.seen, other.seen]).toEqual([null, null]);
    sent.ended(cold, 'refused');
    expect(sent.mayRenew(5)).toBe(true);
    // The other one is on its way, and is done by nobody.
    const counted = sent.begin();
    expect(counted.seen).toBe(5);
    expect(sent.mayRenew(6)).toBe(false);
    sent.ended(counted, 'refused');
    expect(sent.mayRenew(7)).toBe(true);
    sent.ended(sent.begin(), 'refused');
    expect(sent.mayRenew(8)).toBe(false);
    for (const end of ['unknown', 'done'] as const) {
      const lost = new SentAttempts(5);
      lost.ended(lost.begin(), end);
      lost.ended(lost.begin(), 'refused');
      expect(lost.mayRenew(9)).toBe(false);
    }
  });
});
