// The load on both sides: puts of 100 bytes and linearizable reads of random keys among 10,000, and lists of 1,000 keys
// among 100,000.

import { unreachable } from '../../src/base/assert.ts';
import type { Target } from './load.ts';

export const keyCount = 10_000;
const listedKeys = 100_000;
const listLimit = 1_000;
export const valueBytes = 100;

export type Operation = 'put' | 'range' | 'list';
export const paths: Readonly<Record<Operation, string>> = {
  put: '/v3/kv/put',
  range: '/v3/kv/range',
  list: '/v3/kv/range',
};

export function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}

/** All keys have the same length, so that all requests have. */
export function keyOf(index: number): string {
  return base64(`bench/${String(index).padStart(6, '0')}`);
}

function listedKeyOf(index: number): string {
  return base64(`list/${String(index).padStart(6, '0')}`);
}

export const value = Buffer.alloc(valueBytes, 'v').toString('base64');

export function bodyOf(operation: Operation, key: string): string {
  switch (operation) {
    case 'put':
      return JSON.stringify({ key, value });
    case 'range':
      return JSON.stringify({ key });
    case 'list': {
      const first = Math.floor(Math.random() * (listedKeys - listLimit));
      return JSON.stringify({
        key: listedKeyOf(first),
        range_end: base64('list0'),
        limit: String(listLimit),
        serializable: true,
      });
    }
    default:
      return unreachable(operation);
  }
}

/** etcd's bound for the operations of one transaction. */
const preloadBatch = 128;
/** How many transactions are under way at once while a store is filled. */
const preloadsAtOnce = 4;

/**
 * Puts every key before anything is measured, on both sides: a read of a key that does not exist would be another read.
 */
export async function preload(target: Target, keys: 'few' | 'listed'): Promise<void> {
  const count = keys === 'few' ? keyCount : listedKeys;
  const nameOf = keys === 'few' ? keyOf : listedKeyOf;
  let next = 0;
  const one = async (): Promise<void> => {
    while (next < count) {
      const first = next;
      next += preloadBatch;
      const success = Array.from({ length: Math.min(preloadBatch, count - first) }, (_, index) => ({
        request_put: { key: nameOf(first + index), value },
      }));
      await post(target, '/v3/kv/txn', { success });
    }
  };
  await Promise.all(Array.from({ length: preloadsAtOnce }, one));
}

export async function post({ url, headers }: Target, path: string, body: object): Promise<unknown> {
  const response = await fetch(`${url}${path}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${url}${path} answered ${response.status}: ${text.slice(0, 200)}`);
  return JSON.parse(text);
}
