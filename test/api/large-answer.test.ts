// Answers whose bodies are made while they are read.

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { utf8 } from '../../src/base/bytes.ts';
import { answerWith, largeAnswerOf } from '../../src/api/large-answer.ts';
import { answerPieceBytes, answerReadMs } from '../../src/limits.ts';
import { later } from '../../src/base/timers.ts';
import { MemoryBudget } from '../../src/base/memory-budget.ts';
import { holdAnswer, holdAnswerOfWrite } from '../../src/api/held-answer.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const holder = { tenant: 't', key: 'k' };

function budgetOf(bytes: number): MemoryBudget {
  return new MemoryBudget({ bytesMax: bytes, tenantBytesMax: bytes, keyBytesMax: bytes });
}

function largeText(): string {
  // Cutting this text into pieces would cut some of its pairs of surrogates.
  return `x${'😀é'.repeat(answerPieceBytes)}`;
}

test('MEMORY-2: a large answer is the same as a small one, in pieces', async () => {
  const text = largeText();
  expect(await answerWith(text, {}).text()).toBe(text);
  const bytes = utf8(text);
  expect(new Uint8Array(await answerWith(bytes, {}).arrayBuffer())).toEqual(bytes);
  expect(largeAnswerOf(answerWith('x'.repeat(answerPieceBytes), {}))).toBeNull();
  expect(largeAnswerOf(answerWith('x'.repeat(answerPieceBytes + 1), {}))).not.toBeNull();
});

test('MEMORY-3: a large answer counts until it was read, or nobody reads it', async () => {
  const budget = budgetOf(2_000_000);
  const read = answerWith(largeText(), {});
  expect(holdAnswer(read, { holder, budget, later })).toBeNull();
  expect(budget.bytes).toBe(utf8(largeText()).byteLength);
  await read.text();
  expect(budget.bytes).toBe(0);
  const left = answerWith(largeText(), {});
  expect(holdAnswer(left, { holder, budget, later })).toBeNull();
  await left.body?.cancel();
  expect(budget.bytes).toBe(0);
});

test('MEMORY-3: an answer that does not fit is refused with whose share lacks', () => {
  const budget = budgetOf(utf8(largeText()).byteLength - 1);
  expect(holdAnswer(answerWith(largeText(), {}), { holder, budget, later })).toEqual({ kind: 'memoryFull', of: 'key' });
  expect(budget.bytes).toBe(0);
});

test('MEMORY-8: the answer to a write that was done is held, also beyond the share', async () => {
  const budget = budgetOf(utf8(largeText()).byteLength - 1);
  const answer = answerWith(largeText(), {});
  expect(holdAnswerOfWrite(answer, { holder, budget, later })).toBeNull();
  expect(budget.bytes).toBe(utf8(largeText()).byteLength);
  expect(budget.lacking(holder, 1)).toBe('key');
  expect(await answer.text()).toBe(largeText());
  expect(budget.bytes).toBe(0);
});

test('MEMORY-10: a text beyond ASCII is not kept as a string, which takes more memory than it counts', async () => {
  const ascii = 'x'.repeat(3 * answerPieceBytes);
  const text = `${ascii}\u4e2d`;
  const large = largeAnswerOf(answerWith(text, {}));
  expect(large?.bytes).toBe(ascii.length + 3);
  const answer = answerWith(text, {});
  const budget = budgetOf(2_000_000);
  holdAnswer(answer, { holder, budget, later });
  const reader: ReadableStreamDefaultReader<Uint8Array> | undefined = answer.body?.getReader();
  const sizes: number[] = [];
  for (;;) {
    const piece = await reader?.read();
    if (piece?.value === undefined) break;
    sizes.push(piece.value.byteLength);
  }
  expect(sizes).toEqual([answerPieceBytes, answerPieceBytes, answerPieceBytes, 3]);
  // The memory of each piece is given back as it is read: no part of the answer is larger.
  const encode = vi.spyOn(TextEncoder.prototype, 'encode');
  answerWith(text, {});
  for (const [part] of encode.mock.calls) expect(part?.length).toBeLessThanOrEqual(answerPieceBytes);
  expect(encode).toHaveBeenCalledTimes(4);
  encode.mockRestore();
});

test('MEMORY-4: an answer of which nothing is taken for answerReadMs is given up', async () => {
  const budget = budgetOf(2_000_000);
  const answer = answerWith(largeText(), {});
  holdAnswer(answer, { holder, budget, later });
  const reader = answer.body?.getReader();
  vi.advanceTimersByTime(answerReadMs - 1);
  await reader?.read();
  vi.advanceTimersByTime(answerReadMs - 1);
  expect(budget.bytes).toBeGreaterThan(0);
  vi.advanceTimersByTime(1);
  expect(budget.bytes).toBe(0);
  await expect(reader?.read()).rejects.toThrow('did not read');
});
