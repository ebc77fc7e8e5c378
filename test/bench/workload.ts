// What is asked of both sides over HTTP: each load has keys of its own, which are there before it is measured, because
// a read of a key that does not exist would be another read.

import { unreachable } from '../../src/base/assert.ts';
import { rawRequest, type Answer } from './raw-http.ts';

export type Target = { readonly url: string; readonly headers: Readonly<Record<string, string>> };

/** Keys of one length under a prefix, so that all requests of a load have one length. */
export type KeySpace = { readonly prefix: string; readonly count: number; readonly valueBytes: number };

const smallBytes = 100;

export const keySpaces = {
  read: { prefix: 'bench/', count: 10_000, valueBytes: smallBytes },
  written: { prefix: 'few/', count: 2_000, valueBytes: smallBytes },
  large: { prefix: 'large/', count: 2_000, valueBytes: 1_024 },
  swapped: { prefix: 'swapped/', count: 2_000, valueBytes: smallBytes },
  many: { prefix: 'many/', count: 100_000, valueBytes: smallBytes },
} as const satisfies Readonly<Record<string, KeySpace>>;

export type Operation = 'get' | 'put' | 'putMany' | 'putLarge' | 'swap' | 'mixed' | 'list' | 'shortList';

export const keySpaceOf: Readonly<Record<Operation, KeySpace>> = {
  get: keySpaces.read,
  put: keySpaces.written,
  putMany: keySpaces.many,
  putLarge: keySpaces.large,
  swap: keySpaces.swapped,
  mixed: keySpaces.many,
  list: keySpaces.many,
  shortList: keySpaces.many,
};

const listLimit = 1_000;
const shortListLimit = 500;
const readsOfMixed = 0.9;

export function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}

export function keyOf({ prefix }: KeySpace, index: number): string {
  return `${prefix}${String(index).padStart(6, '0')}`;
}

export function valueOf({ valueBytes }: Pick<KeySpace, 'valueBytes'>): Buffer {
  return Buffer.alloc(valueBytes, 'v');
}

export function randomBelow(count: number): number {
  return Math.floor(Math.random() * count);
}

/** What the connections of a load send. */
export type Requests = {
  readonly next: (connection: number) => Buffer;
  /** False: the answer is not the one that was wanted. */
  readonly answered: (connection: number, answer: Answer) => boolean;
};

/** `connections`: how many ask. Each has a number from 0 on. */
export function requestsOf(target: Target, operation: Operation, connections: number): Requests {
  const space = keySpaceOf[operation];
  const put = once((index) => postOf(target, '/v3/kv/put', putOf(space, index)));
  const get = once((index) => postOf(target, '/v3/kv/range', { key: base64(keyOf(space, index)) }));
  switch (operation) {
    case 'get':
      return plain(() => get(randomBelow(space.count)));
    case 'put':
    case 'putMany':
    case 'putLarge':
      return plain(() => put(randomBelow(space.count)));
    case 'mixed':
      return plain(() => (Math.random() < readsOfMixed ? get : put)(randomBelow(space.count)));
    case 'list':
      return plain(() => listOf(target, space, { limit: listLimit, serializable: true }));
    case 'shortList':
      return plain(() => listOf(target, space, { limit: shortListLimit, serializable: false }));
    case 'swap':
      return swaps(target, space, connections);
    default:
      return unreachable(operation);
  }
}

function plain(next: () => Buffer): Requests {
  return { next, answered: (_, { status }) => status === 200 };
}

/** Each request is made once, because making it is work of this machine, too. */
function once(make: (index: number) => Buffer): (index: number) => Buffer {
  const made: Buffer[] = [];
  return (index) => (made[index] ??= make(index));
}

function putOf(space: KeySpace, index: number): object {
  return { key: base64(keyOf(space, index)), value: valueOf(space).toString('base64') };
}

function listOf(target: Target, space: KeySpace, how: { limit: number; serializable: boolean }): Buffer {
  const first = randomBelow(space.count - how.limit);
  const range = { key: base64(keyOf(space, first)), range_end: base64(`${space.prefix.slice(0, -1)}0`) };
  return postOf(target, '/v3/kv/range', { ...range, limit: String(how.limit), serializable: how.serializable });
}

/**
 * Compare-and-swap as etcd's users have it: a put if the key was not changed since its revision was seen. Each
 * connection has keys of its own, so each one succeeds but for the first of a key, whose answer tells the revision.
 */
function swaps(target: Target, space: KeySpace, connections: number): Requests {
  const seen: (string | undefined)[] = [];
  const asked: number[] = [];
  const ofConnection = Math.floor(space.count / connections);
  return {
    next: (connection) => {
      const index = connection * ofConnection + randomBelow(ofConnection);
      asked[connection] = index;
      const key = base64(keyOf(space, index));
      return postOf(target, '/v3/kv/txn', {
        compare: [{ key, target: 'MOD', result: 'EQUAL', mod_revision: seen[index] ?? '0' }],
        success: [{ request_put: putOf(space, index) }],
        failure: [{ request_range: { key } }],
      });
    },
    answered: (connection, { status, body }) => {
      const index = asked[connection] ?? 0;
      const text = body.toString('latin1');
      const isFirst = seen[index] === undefined;
      const swapped = text.includes('"succeeded":true');
      seen[index] = (swapped ? /"revision": *"(\d+)"/ : /"mod_revision": *"(\d+)"/).exec(text)?.[1];
      return status === 200 && (swapped || isFirst) && seen[index] !== undefined;
    },
  };
}

function postOf({ url, headers }: Target, path: string, body: object): Buffer {
  return rawRequest(url, { method: 'POST', path, headers, body: JSON.stringify(body) });
}

/** etcd's bound for the operations of one transaction. */
const preloadBatch = 128;
/** How many transactions are under way at once while a store is filled. */
const preloadsAtOnce = 4;

/** What was put already, by the URL of the side. */
const preloaded = new Map<string, Set<KeySpace>>();

/** Puts every key, once for each side. */
export async function preload(target: Target, space: KeySpace): Promise<void> {
  const already = preloaded.get(target.url) ?? new Set();
  preloaded.set(target.url, already);
  if (already.has(space)) return;
  already.add(space);
  let next = 0;
  const one = async (): Promise<void> => {
    while (next < space.count) {
      const first = next;
      next += preloadBatch;
      const success = Array.from({ length: Math.min(preloadBatch, space.count - first) }, (_, index) => ({
        request_put: putOf(space, first + index),
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
