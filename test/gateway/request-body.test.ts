// Reading a body: how much is read, for how long, and which memory it counts to.

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { readBody } from '../../src/gateway/request-body.ts';
import { bodyReadMs } from '../../src/limits.ts';
import { MemoryBudget, type Reservation } from '../../src/base/memory-budget.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const bytesMax = 20_000;

function memoryOf(keyBytesMax: number): { readonly memory: Reservation; readonly budget: MemoryBudget } {
  const budget = new MemoryBudget({ bytesMax: keyBytesMax, tenantBytesMax: keyBytesMax, keyBytesMax });
  return { budget, memory: budget.reserve({ tenant: 't', key: 'k' }) };
}

/** A body that comes in parts, and may end or not. */
function posted(parts: readonly number[], ends: boolean, headers: Record<string, string> = {}): Request {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const bytes of parts) controller.enqueue(new Uint8Array(bytes));
      if (ends) controller.close();
    },
  });
  const init = { method: 'POST', body, headers, duplex: 'half' };
  return new Request('http://store/v1/txn', init);
}

test('MEMORY-6: a body counts from before it is read, by its declared length or as it comes, until it is released', async () => {
  const declared = memoryOf(20_000);
  const reading = readBody(posted([5_000], false, { 'content-length': '15000' }), {
    bytesMax,
    memory: declared.memory,
  });
  expect(declared.budget.bytes).toBe(15_000);
  vi.advanceTimersByTime(bodyReadMs);
  await reading;
  const parts = memoryOf(20_000);
  const read = await readBody(posted([5_000, 5_000], true), { bytesMax, memory: parts.memory });
  expect(read.kind === 'body' && read.body.byteLength).toBe(10_000);
  expect(parts.budget.bytes).toBe(10_000);
  parts.memory.release();
  expect(parts.budget.bytes).toBe(0);
});

test('MEMORY-6: a body that may not be held is refused before it is read, or where it passes the share', async () => {
  const refused = { kind: 'failed', failure: { kind: 'memoryFull', of: 'key' } };
  const declared = memoryOf(14_999);
  const body = posted([5_000], false, { 'content-length': '15000' });
  expect(await readBody(body, { bytesMax, memory: declared.memory })).toEqual(refused);
  const parts = memoryOf(9_999);
  expect(await readBody(posted([5_000, 5_000], true), { bytesMax, memory: parts.memory })).toEqual(refused);
});

test('SILENT-1: a body that does not arrive within bodyReadMs is given up, whether its length was said or not', async () => {
  for (const headers of [{}, { 'content-length': '15000' }]) {
    const reading = readBody(posted([5_000], false, headers), { bytesMax, memory: null });
    let answered = false;
    void reading.then(() => {
      answered = true;
    });
    await vi.advanceTimersByTimeAsync(bodyReadMs - 1);
    expect(answered).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(await reading).toEqual({ kind: 'failed', failure: { kind: 'bodyLate', seconds: bodyReadMs / 1_000 } });
  }
});

test('SILENT-1: a body that has arrived leaves no timer behind', async () => {
  await readBody(posted([5_000], true), { bytesMax, memory: null });
  await vi.advanceTimersByTimeAsync(0);
  expect(vi.getTimerCount()).toBe(0);
});
