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
});
