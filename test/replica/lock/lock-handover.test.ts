// What happens to a place whose turn has come when its client has left.

import { expect, test } from 'vitest';
import { handoverMsMax, handoverMsMin } from '../../../src/limits.ts';
import { Handover, handoverMs } from '../../../src/replica/lock/lock-handover.ts';

function handed(waitedMs: number): { readonly answer: Response; readonly givenUp: () => number } {
  let count = 0;
  const handover = new Handover(null);
  handover.afterWait(waitedMs, () => {
    count++;
    return Promise.resolve();
  });
  return { answer: handover.of(new Response('{"a":1}', { status: 200 })), givenUp: () => count };
}

test('LOCK-30: the answer to one that waited begins a moment before it ends, and is whole', async () => {
  const { answer, givenUp } = handed(60_000);
  const reader = answer.body?.getReader();
  const decoder = new TextDecoder();
  expect(decoder.decode((await reader?.read())?.value)).toBe('{');
  expect(decoder.decode((await reader?.read())?.value)).toBe('"a":1}');
  expect((await reader?.read())?.done).toBe(true);
  expect(givenUp()).toBe(0);
});

test('LOCK-30: who has left between the two gives its place up, once; who was told everything does not', async () => {
  const left = handed(60_000);
  const reader = left.answer.body?.getReader();
  await reader?.read();
  await reader?.cancel();
  expect(left.givenUp()).toBe(1);
  const told = handed(1);
  const listening = told.answer.body?.getReader();
  await listening?.read();
  await listening?.read();
  await listening?.cancel();
  expect(told.givenUp()).toBe(0);
});

test('LOCK-30: what is held back is a part of the wait, within bounds, and nothing where nobody waited', async () => {
  expect([0, 100, 400, 500, 60_000].map(handoverMs)).toEqual([handoverMsMin, 10, 40, handoverMsMax, handoverMsMax]);
  const answer = new Response('x');
  expect(new Handover(null).of(answer)).toBe(answer);
});

test('LOCK-30: a caller that had left before its answer begins gives its place up, once', async () => {
  let count = 0;
  const gone = new AbortController();
  const handover = new Handover(gone.signal);
  handover.afterWait(60_000, () => {
    count++;
    return Promise.resolve();
  });
  gone.abort();
  const answer = handover.of(new Response('{"a":1}'));
  expect(await answer.text()).toBe('');
  expect(count).toBe(1);
});
