// Transactions with as many compares and operations as a request may have: what is decided of them before the store is
// looked at.

import { describe, expect, it } from 'vitest';
import { keyText } from '../../src/base/bytes.ts';
import { groupLevelMin } from '../../src/model/levels.ts';
import { logEntryBytesMax } from '../../src/limits.ts';
import type { TxnOperation } from '../../src/model/store.ts';
import { encodeCommands } from '../../src/mvcc/codec/command-codec.ts';
import { DeletedKeys } from '../../src/mvcc/deleted-keys.ts';
import { spanHolds, spanOf } from '../../src/model/key-range.ts';
import { operationShape } from '../../src/mvcc/txn-shape.ts';
import { NodeSql } from '../support/node-sql.ts';
import { RandomOperations } from './random-operations.ts';
import { Fed, keyRange, put, remove, service, txn, versionIs } from './requests.ts';

const children = 42;

const level = (of: () => TxnOperation): TxnOperation => txn({ success: Array.from({ length: children }, of) });

const half = (of: () => TxnOperation): TxnOperation[] =>
  Array.from({ length: children / 2 }, () => level(() => level(of)));

/** There are three levels of 42 each, with a key of its own for every put and delete. */
function nested(): TxnOperation {
  let keys = 0;
  const putOne = (): TxnOperation => put(`k${(keys++).toString(36)}`, '');
  const removeOne = (): TxnOperation => {
    const key = `k${(keys++).toString(36)}`;
    return remove(keyRange(key, `${key}\0`));
  };
  return txn({ success: [...half(removeOne), ...half(putOne)] });
}

describe('a txn as large as a log entry', () => {
  it('MVCC-TXN-14: is held against itself, 37,044 puts against as many deletes, while its caller waits', () => {
    const operation = nested();
    if (operation.kind !== 'txn') throw new Error('it is a txn');
    const command = { writeId: 'w', caller: service, atMs: 1, operation };
    expect(encodeCommands([command]).byteLength).toBeLessThan(logEntryBytesMax);
    expect(operationShape(operation, groupLevelMin)).toBeNull();
    const again = txn({ success: [...operation.request.success, put('k0')] });
    expect(operationShape(again, groupLevelMin)).toEqual({ kind: 'duplicateKey' });
  });

  it('MVCC-TXN-14: of 150,000 compares is refused, and throws nothing', () => {
    const fed = new Fed(new NodeSql());
    const accessKey = {
      role: 'write',
      prefix: new Uint8Array(0),
      expiresAtMs: null,
      createdAtMs: 1,
      name: '',
    } as const;
    fed.do({ kind: 'createAccessKey', accessKey: { id: 'k', ...accessKey } });
    const compare = Array.from({ length: 150_000 }, () => versionIs('k', 0));
    const caller = { kind: 'accessKey', id: 'k' } as const;
    expect(fed.store.answerWithoutLog({ writeId: 'w', caller, atMs: 1, operation: txn({ compare }) })).toEqual({
      kind: 'refused',
      failure: { kind: 'tooManyOperations' },
    });
    expect(fed.fails(txn({ compare }), caller)).toEqual({ kind: 'tooManyOperations' });
  });
});

it('MVCC-TXN-14: the deletes of a txn cover what each of them does, but for those that go up to the end of all keys', () => {
  const random = new RandomOperations(7);
  for (let round = 0; round < 300; round++) {
    const [deleted, others] = [new DeletedKeys(), new DeletedKeys()];
    const spans = Array.from({ length: random.below(8) }, () => spanOf(random.range()));
    for (const [place, span] of spans.entries()) {
      (place % 2 === 0 ? deleted : others).add(span);
      // Now and then the check lets others have their turn.
      if (random.chance(0.3)) deleted.holds('a');
    }
    deleted.addAll(others);
    for (let asked = 0; asked < 10; asked++) {
      const key = new TextEncoder().encode(random.key());
      const expected = spans.some((span) => span.kind !== 'open' && spanHolds(span, key));
      expect(deleted.holds(keyText(key))).toBe(expected);
    }
  }
});
