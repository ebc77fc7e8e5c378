// The body of an answer that is late.

import { expect, it } from 'vitest';
import { ByteParts } from '../../../src/base/byte-parts.ts';
import { answerPieceBytes } from '../../../src/limits.ts';
import { lateBody, type LateAnswer } from '../../../src/replica/calls/late-body.ts';
import { decodeAnswer, encodeAnswer } from '../../../src/session/answer-codec.ts';

function late(pads: boolean): LateAnswer & { lost: number; held: number } {
  const answer = {
    lost: 0,
    held: 0,
    memory: {
      hold: (bytes: number) => {
        answer.held = bytes;
        return null;
      },
      lose: () => void answer.lost++,
    },
    durable: () => Promise.resolve(),
    gone: new AbortController(),
    pads,
  };
  return answer;
}

it('READ-43: something is written before the answer is there, and a reader that leaves then ends its call', async () => {
  const { promise } = Promise.withResolvers<ByteParts>();
  const answer = late(true);
  const reader = lateBody(promise, answer).getReader();
  expect(await reader.read()).toEqual({ done: false, value: new Uint8Array(1) });
  expect(answer.gone.signal.aborted).toBe(false);
  await reader.cancel();
  expect([answer.gone.signal.aborted, answer.lost]).toEqual([true, 1]);
});

it('READ-43: what is written before the answer means nothing, and is not written for a gateway that does not know it', async () => {
  const absent = encodeAnswer({ kind: 'absent' });
  const { promise, resolve } = Promise.withResolvers<ByteParts>();
  const reader = lateBody(promise, late(true)).getReader();
  const parts = [(await reader.read()).value ?? new Uint8Array(0)];
  resolve(new ByteParts([absent]));
  for (let next = await reader.read(); !next.done; next = await reader.read()) parts.push(next.value);
  expect(decodeAnswer(Uint8Array.from(parts.flatMap((part) => [...part])))).toEqual({ kind: 'absent' });
  const former = lateBody(Promise.resolve(new ByteParts([absent])), late(false)).getReader();
  expect((await former.read()).value).toEqual(absent);
});

it('READ-43: the answer is made into pieces as they are taken, and counts until then', async () => {
  const answer = late(false);
  const reader = lateBody(Promise.resolve(new ByteParts([new Uint8Array(2 * answerPieceBytes)])), answer).getReader();
  expect((await reader.read()).value?.byteLength).toBe(answerPieceBytes);
  expect(answer.held).toBe(answerPieceBytes);
  await reader.read();
  expect(answer.held).toBe(0);
});
