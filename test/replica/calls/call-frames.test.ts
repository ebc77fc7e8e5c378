// Sockets for calls, on Node: how much a client that sends and does not read may make a replica hold.

import { expect, test } from 'vitest';
import { answerWith } from '../../../src/api/large-answer.ts';
import { answerPieceBytes, frameSocketUnreadBytesMax, frameSocketReadBytesPerSecond } from '../../../src/limits.ts';
import { MemoryBudget } from '../../../src/base/memory-budget.ts';
import { FrameSockets } from '../../../src/replica/calls/call-frames.ts';
import { PlainKeys } from '../plain-keys.ts';

class FakeSocket {
  readonly sent: string[] = [];
  closed: number | null = null;
  #attachment: unknown = ['/v3/kv/range', 'accessKey a', 'http://store', ''];

  send(text: string): void {
    this.sent.push(text);
  }
  close(code: number): void {
    this.closed = code;
  }
  serializeAttachment(attachment: unknown): void {
    this.#attachment = attachment;
  }
  deserializeAttachment(): unknown {
    return this.#attachment;
  }
}

function bench(answer: string, keyBytesMax = Number.POSITIVE_INFINITY) {
  const fake = new FakeSocket();
  // The code uses no more of a WebSocket than this.
  const socket = fake as unknown as WebSocket;
  const budget = new MemoryBudget({ bytesMax: keyBytesMax, tenantBytesMax: keyBytesMax, keyBytesMax });
  const clock = { nowMs: 1_000 };
  const frames = new FrameSockets({
    host: { acceptWebSocket: () => undefined, getWebSockets: () => [socket] },
    open: new PlainKeys().open,
    memory: () => budget.reserve({ tenant: 't', key: 'a' }),
    nowMs: () => clock.nowMs,
    serve: () => Promise.resolve(answerWith(answer, {})),
  });
  return { fake, socket, budget, clock, frames };
}

test('FRAME-12: an answer in many pieces is one frame', async () => {
  const answer = `{"a":"${'é'.repeat(3 * answerPieceBytes)}"}`;
  const { fake, socket, frames } = bench(answer);
  await frames.message(socket, '{}');
  expect(fake.sent).toEqual([answer]);
});

test('FRAME-12: white space that was a sign of life is no frame', async () => {
  const { fake, socket, frames } = bench('  {"a":1}\n {"a":2}\n  ');
  await frames.message(socket, '{}');
  expect(fake.sent).toEqual(['{"a":1}', '{"a":2}']);
});

test('FRAME-11: a socket whose answers are not read is closed over its bound; one that can have read them goes on', async () => {
  const answer = 'x'.repeat(16 * 1_048_576);
  const unread = bench(answer);
  const answers = frameSocketUnreadBytesMax / answer.length;
  for (let count = 0; count < answers; count++) await unread.frames.message(unread.socket, '{}');
  expect(unread.fake.closed).toBeNull();
  await unread.frames.message(unread.socket, '{}');
  expect(unread.fake.closed).toBe(4429);
  expect(unread.budget.bytes).toBe(0);
  const read = bench(answer);
  for (let count = 0; count < 3 * answers; count++) {
    await read.frames.message(read.socket, '{}');
    read.clock.nowMs += (answer.length / frameSocketReadBytesPerSecond) * 1_000;
  }
  expect(read.fake.closed).toBeNull();
});

test('FRAME-11: a socket is closed where what waits on it is more than its key may hold', async () => {
  const { fake, socket, budget, frames } = bench('{}', 1_000_000);
  await frames.message(socket, ' '.repeat(900_000));
  expect(fake.closed).toBeNull();
  await frames.message(socket, ' '.repeat(1_000_001));
  expect(fake.closed).toBe(4429);
  expect(budget.bytes).toBe(0);
});
