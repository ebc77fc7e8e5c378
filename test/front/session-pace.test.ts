// When what is said on a session leaves. The turns of the event loop are real, and the timers are the test's own.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SessionPace } from '../../src/front/session-pace.ts';
import { attemptHedgeMs } from '../../src/limits.ts';

const slowMs = 100;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});

afterEach(() => {
  vi.useRealTimers();
});

async function turns(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** A session among whose calls some have been answered, each after `answerMs`. */
async function paced(answerMs: number) {
  const pace = new SessionPace();
  let sent = 0;
  const say = (): number => {
    const message = pace.called();
    pace.wait(10, () => sent++);
    return message;
  };
  for (let index = 0; index < 50; index++) {
    const message = say();
    await turns();
    pace.answered(message, answerMs);
  }
  sent = 0;
  return { pace, say, sent: () => sent };
}

describe('a session with a replica that is behind', () => {
  it('FRONT-30: two messages leave, and the next one once a call of one of them is answered', async () => {
    const { pace, say, sent } = await paced(slowMs);
    const first = say();
    await turns();
    say();
    await turns();
    expect(sent()).toBe(2);
    say();
    await turns();
    expect(sent()).toBe(2);
    pace.answered(first, slowMs);
    await turns();
    expect(sent()).toBe(3);
    vi.advanceTimersByTime(10_000);
    expect(sent()).toBe(3);
  });

  it('FRONT-30: an answer to a later message says that those before it were read', async () => {
    const { pace, say, sent } = await paced(slowMs);
    say();
    await turns();
    const second = say();
    await turns();
    pace.answered(second, slowMs);
    for (let index = 0; index < 2; index++) {
      say();
      await turns();
    }
    expect(sent()).toBe(4);
  });

  it.each([
    { name: 'half the time that answers take', answerMs: slowMs, waitMs: slowMs / 2 },
    { name: 'attemptHedgeMs', answerMs: 10 * attemptHedgeMs, waitMs: attemptHedgeMs },
  ])('FRONT-30: without an answer a call waits for $name', async ({ answerMs, waitMs }) => {
    const { say, sent } = await paced(answerMs);
    for (let index = 0; index < 3; index++) {
      say();
      await turns();
    }
    vi.advanceTimersByTime(waitMs - 1);
    expect(sent()).toBe(2);
    vi.advanceTimersByTime(1);
    expect(sent()).toBe(3);
  });

  it('FRONT-30: messages without a call are not waited for', async () => {
    const { pace, say, sent } = await paced(slowMs);
    let credits = 0;
    for (let index = 0; index < 5; index++) {
      pace.wait(10, () => credits++);
      await turns();
    }
    say();
    await turns();
    expect({ credits, sent: sent() }).toEqual({ credits: 5, sent: 1 });
  });

  it('FRONT-30: a call that is given up is not waited for', async () => {
    const { pace, say, sent } = await paced(slowMs);
    for (let index = 0; index < 4; index++) {
      const message = say();
      await turns();
      pace.answered(message, null);
    }
    expect(sent()).toBe(4);
  });
});

it('FRONT-30: to a replica that answers soon every message leaves', async () => {
  const { say, sent } = await paced(10);
  for (let index = 0; index < 5; index++) {
    say();
    await turns();
  }
  expect(sent()).toBe(5);
});

it('FRONT-30: a lone call leaves at once, however slow the replica is', async () => {
  const { pace, say, sent } = await paced(slowMs);
  for (let index = 0; index < 2; index++) {
    say();
    await turns();
  }
  pace.called();
  let lone = 0;
  pace.wait(1, () => lone++);
  await turns();
  expect({ lone, sent: sent() }).toEqual({ lone: 1, sent: 2 });
});
