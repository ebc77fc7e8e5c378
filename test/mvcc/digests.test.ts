// How a write id is remembered with the digest of its request, in groups of level 3.

import { describe, expect, it } from 'vitest';
import { logIndex } from '../../src/model/brands.ts';
import type { Command, Operation, Outcome } from '../../src/model/store.ts';
import { decodeCommands, encodeCommands } from '../../src/mvcc/codec/command-codec.ts';
import { NodeSql } from '../support/node-sql.ts';
import { runSteps } from '../../src/mvcc/steps.ts';
import { Fed, prefix, put, remove, service, toLevel, txn } from './requests.ts';
import { copied } from './snapshot/snapshot-transfer.ts';

function of(writeId: string, operation: Operation, digest?: bigint): Command {
  const command = { writeId, caller: service, atMs: 1, operation };
  return digest === undefined ? command : { ...command, digest };
}

function sent(fed: Fed, ...command: Parameters<typeof of>): Outcome {
  const [outcome] = fed.commands([of(...command)]);
  if (outcome === undefined) throw new Error('a command has an outcome');
  return outcome;
}

/** The group is of level 3, and one entry came after that. */
function third(): Fed {
  const fed = new Fed(new NodeSql());
  fed.do(toLevel(3));
  return fed;
}

const reused = { kind: 'failed', failure: { kind: 'idempotencyKeyReused' } };
const largest = 2n ** 64n - 1n;

describe('MVCC-RETRY-7: at level 3 an id remembers the digest of its request; another request by it is not done, and told so', () => {
  it('also after a restart, and on a replica that was made from a snapshot', () => {
    const fed = third();
    const first = sent(fed, 'id', put('i1', 'v'), largest);
    const swapped = sent(fed, 'txn', txn({ success: [put('a', 'v')] }), 1n);
    const copy = copied(fed, new NodeSql());
    for (const each of [fed, copy]) {
      for (const restarted of [false, true]) {
        if (restarted) each.reopen();
        expect(sent(each, 'id', put('i2', 'v'), 2n)).toMatchObject(reused);
        expect(sent(each, 'id', remove('i1'), 2n)).toMatchObject(reused);
        expect(sent(each, 'txn', txn({ success: [put('b', 'v')] }), 2n)).toMatchObject(reused);
        expect(sent(each, 'id', put('i1', 'v'), largest)).toEqual(first);
        expect(sent(each, 'txn', txn({ success: [put('a', 'v')] }), 1n)).toEqual(swapped);
        expect(each.range('i2').count + each.range('b').count).toBe(0);
      }
      expect(each.store.revision).toBe(3);
    }
  });

  it('within one entry, beside writes that have none', () => {
    const fed = third();
    const outcomes = fed.commands([
      of('a', put('a')),
      of('b', put('b'), 1n),
      of('c', put('c')),
      of('b', put('b2'), 2n),
      of('d', put('d'), 3n),
      of('b', put('b'), 1n),
    ]);
    expect(outcomes).toMatchObject([
      { revision: 2 },
      { revision: 3 },
      { revision: 4 },
      reused,
      { revision: 5 },
      { revision: 3 },
    ]);
    expect(sent(fed, 'd', put('d2'), 1n)).toMatchObject(reused);
    expect(sent(fed, 'd', put('d'), 3n)).toMatchObject({ revision: 5 });
    expect(sent(fed, 'b', put('b'), 1n)).toMatchObject({ revision: 3 });
  });

  it('what failed is remembered with it as well', () => {
    const fed = third();
    const failing = put('none', '', { ignoreValue: true });
    expect(sent(fed, 'id', failing, 1n)).toMatchObject({ failure: { kind: 'keyNotFound' } });
    expect(sent(fed, 'id', put('k'), 2n)).toMatchObject(reused);
    expect(sent(fed, 'id', failing, 1n)).toMatchObject({ failure: { kind: 'keyNotFound' } });
  });

  it('a delete that goes in steps has its digest', () => {
    const fed = third();
    for (let key = 0; key < 50; key++) fed.put(`k${key}`);
    const index = logIndex(++fed.index);
    const steps = fed.store.applyInSteps(index, [of('id', remove(prefix('k')), 1n)], 10);
    expect(steps === null ? null : runSteps(steps).outcomes).toMatchObject([{ answer: { deleted: 50 } }]);
    for (const restarted of [false, true]) {
      if (restarted) fed.reopen();
      expect(sent(fed, 'id', remove(prefix('l')), 2n)).toMatchObject(reused);
      expect(sent(fed, 'id', remove(prefix('k')), 1n)).toMatchObject({ answer: { deleted: 50 } });
    }
  });

  it('where one of the two has none, the form of the request decides', () => {
    const fed = third();
    sent(fed, 'with', put('a'), 1n);
    sent(fed, 'without', put('b'));
    expect(sent(fed, 'with', put('c'))).toMatchObject({ kind: 'put', revision: 2 });
    expect(sent(fed, 'without', put('c'), 1n)).toMatchObject({ kind: 'put', revision: 3 });
    expect(sent(fed, 'without', remove('b'), 1n)).toMatchObject(reused);
  });
});

describe('MVCC-RETRY-8: digests count from the entry after the one by which the group last came to level 3', () => {
  it('at a lower level there are none', () => {
    const fed = new Fed(new NodeSql());
    for (const level of [1, 2]) {
      fed.do(toLevel(level));
      sent(fed, `of ${level}`, put('a'), 1n);
      expect(sent(fed, `of ${level}`, put('b'), 2n)).toMatchObject({ kind: 'put' });
    }
    fed.do(toLevel(3));
    expect(sent(fed, 'of 2', put('b'), 2n)).toMatchObject({ kind: 'put' });
  });

  it('a replica that was made anew while the group was at level 2 answers as the others do', () => {
    const fed = third();
    sent(fed, 'before', put('a'), 1n);
    expect(sent(fed, 'before', put('b'), 2n)).toMatchObject(reused);
    fed.do(toLevel(2));
    const copy = copied(fed, new NodeSql());
    for (const each of [fed, copy]) {
      each.commands([of('raise', toLevel(3)), of('beside', put('c'), 3n)]);
      sent(each, 'after', put('d'), 4n);
      for (const restarted of [false, true]) {
        if (restarted) each.reopen();
        expect(sent(each, 'before', put('b'), 2n)).toMatchObject({ kind: 'put', revision: 2 });
        expect(sent(each, 'beside', put('b'), 2n)).toMatchObject({ kind: 'put', revision: 3 });
        expect(sent(each, 'after', put('b'), 2n)).toMatchObject(reused);
      }
    }
  });
});

describe('MVCC-CODEC-9: an entry with a digest is of version 4, and no other is', () => {
  it('each command with its own', () => {
    const commands = [of('a', put('k'), 0n), of('b', put('k')), of('c', toLevel(3), largest)];
    const encoded = encodeCommands(commands);
    expect(encoded[0]).toBe(4);
    expect(decodeCommands(encoded)).toEqual(commands);
    expect(encodeCommands([of('b', put('k'))])[0]).toBe(1);
    expect(encodeCommands([of('b', toLevel(3))])[0]).toBe(3);
  });
});
