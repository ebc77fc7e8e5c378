// What clients ask for: few keys, so that they meet; values that name the operation that wrote them, so that a write that was
// applied twice shows.

import { unreachable } from '../../src/assert.ts';
import { noLease } from '../../src/brands.ts';
import { emptyBytes, utf8 } from '../../src/bytes.ts';
import {
  compareResult,
  type KeyRange,
  type Operation,
  type RangeRequest,
  sortOrder,
  sortTarget,
  type TxnOperation,
} from '../../src/model.ts';
import type { ClientAction } from './client-operation.ts';
import type { Random } from './random.ts';

const keys = ['a', 'a/b', 'a/c', 'b', 'b\u00ff', 'c'] as const;

/** As often as they stand here. */
const actions = ['put', 'put', 'put', 'guarded', 'guarded', 'delete', 'read', 'read', 'read', 'other'] as const;

/** What a client has learned: the newest revision, and of each key the revision that it last saw there. */
export type Knowledge = { revision: number; readonly modRevisions: Map<string, number> };

export function nextAction(name: string, random: Random, knowledge: Knowledge): ClientAction {
  const kind = random.pick(actions);
  switch (kind) {
    case 'put':
      return write(put(name, random));
    case 'delete':
      return write({ kind: 'deleteRange', request: { ...someRange(random), previous: random.chance(0.5) } });
    case 'guarded':
      return write(guarded(name, random, knowledge));
    case 'read':
      return read(random.chance(0.5) ? everyKey : someRange(random), { serializable: random.chance(0.3), revision: 0 });
    case 'other': {
      const revision = Math.max(1, knowledge.revision - random.integer(0, 30));
      if (random.chance(0.3)) return write({ kind: 'compact', request: { revision } });
      return read(everyKey, { serializable: random.chance(0.5), revision });
    }
    default:
      return unreachable(kind);
  }
}

/** A write that always changes the store. */
export function plainPut(name: string, random: Random): ClientAction {
  return write(put(name, random));
}

function read(of: KeyRange, how: { readonly serializable: boolean; readonly revision: number }): ClientAction {
  return { kind: 'read', request: rangeRequest(of, how) };
}

function write(operation: Operation): ClientAction {
  return { kind: 'write', operation };
}

function put(name: string, random: Random, key: string = random.pick(keys)): Extract<TxnOperation, { kind: 'put' }> {
  // Long values live in a table of their own.
  const value = utf8(random.chance(0.1) ? name.padEnd(random.integer(500, 900), '.') : name);
  const request = {
    key: utf8(key),
    value,
    lease: noLease,
    previous: random.chance(0.3),
    ignoreValue: false,
    ignoreLease: false,
  };
  return { kind: 'put', request };
}

/** Put if nobody has written the key since it was last seen, else read it. */
function guarded(name: string, random: Random, knowledge: Knowledge): Operation {
  const key = random.pick(keys);
  const other = random.pick(keys.filter((one) => one !== key));
  const operand = knowledge.modRevisions.get(key) ?? 0;
  const compare = {
    key: utf8(key),
    rangeEnd: emptyBytes,
    result: compareResult.equal,
    target: 'mod',
    operand,
  } as const;
  const removal = { kind: 'deleteRange', request: { ...single(other), previous: true } } as const;
  const reading = { kind: 'range', request: rangeRequest(everyKey, { serializable: false, revision: 0 }) } as const;
  const success: TxnOperation[] = [put(name, random, key)];
  if (random.chance(0.3)) success.push(removal);
  if (random.chance(0.3)) success.push(reading);
  const failure: TxnOperation[] = random.chance(0.7) ? [reading] : [];
  return { kind: 'txn', request: { compare: [compare], success, failure } };
}

export const everyKey: KeyRange = { key: Uint8Array.of(0), rangeEnd: Uint8Array.of(0) };

function single(key: string): KeyRange {
  return { key: utf8(key), rangeEnd: emptyBytes };
}

function someRange(random: Random): KeyRange {
  if (random.chance(0.6)) return single(random.pick(keys));
  return { key: utf8(random.pick(keys)), rangeEnd: random.chance(0.3) ? Uint8Array.of(0) : utf8(random.pick(keys)) };
}

export function rangeRequest(
  of: KeyRange,
  { serializable, revision }: { readonly serializable: boolean; readonly revision: number },
): RangeRequest {
  return {
    ...of,
    limit: 0,
    revision,
    sortOrder: sortOrder.none,
    sortTarget: sortTarget.key,
    serializable,
    keysOnly: false,
    countOnly: false,
    minModRevision: 0,
    maxModRevision: 0,
    minCreateRevision: 0,
    maxCreateRevision: 0,
  };
}
