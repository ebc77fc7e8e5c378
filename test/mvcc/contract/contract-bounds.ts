// Rules of the store: the operator's bounds on what a tenant keeps.

import { expect } from 'vitest';
import { emptyBytes } from '../../../src/base/bytes.ts';
import { groupLevel } from '../../../src/model/levels.ts';
import type { Caller, Operation, StoreFailure } from '../../../src/model/store.ts';
import { termChanges, type TermName } from '../../../src/model/terms.ts';
import { rule, type StoreRule } from './contract.ts';
import {
  everything,
  type Fed,
  grant,
  put,
  remove,
  revokeLease,
  service,
  toLevel,
  txn,
  versionIs,
} from '../requests.ts';

type Terms = Partial<Record<TermName, number | null>>;

const bounded = (terms: Terms): Operation => ({ kind: 'terms', changes: termChanges(terms) });
const tooMany = (max: number): StoreFailure => ({ kind: 'tooMany', what: 'keys', max });
const keyOf = (id: string) =>
  ({ id, name: '', role: 'admin', prefix: emptyBytes, expiresAtMs: null, createdAtMs: 1 }) as const;
const create = (id: string): Operation => ({ kind: 'createAccessKey', accessKey: keyOf(id) });
const rotate = (id: string, to: string): Operation => ({
  kind: 'rotateAccessKey',
  id,
  endsAtMs: 1_000_000,
  accessKey: keyOf(to),
});

/** What the store answers without the log. */
function refusalOf(fed: Fed, operation: Operation, caller: Caller = service): StoreFailure | null {
  const answered = fed.store.answerWithoutLog({ writeId: 'asked', caller, operation, atMs: 1 });
  if (answered === null) return null;
  expect(answered.kind).toBe('refusedAlone');
  return answered.kind === 'refusedAlone' ? answered.failure : null;
}

export const boundRules: readonly StoreRule[] = [
  rule('MVCC-BOUND-1: the bound on keys refuses what would leave more of them, and nothing else', (fed) => {
    fed.batch([toLevel(groupLevel.sixth), bounded({ keysMax: 3 }), put('a'), put('b'), put('c'), put('d')]);
    for (const restarted of [false, true]) {
      if (restarted) fed.reopen();
      const revision = fed.store.revision;
      expect(fed.fails(put('d'))).toEqual(tooMany(3));
      expect(fed.fails(put('d', 'v'.repeat(10_000)))).toEqual(tooMany(3));
      expect(fed.fails(txn({ success: [put('a', 'lost'), put('d')] }))).toEqual(tooMany(3));
      const nested = txn({ compare: [versionIs('none', 0)], success: [txn({ success: [put('d')] })] });
      expect(fed.fails(nested)).toEqual(tooMany(3));
      expect([fed.store.revision, fed.range(everything).count]).toEqual([revision, 3]);
      expect(fed.range('a').kvs).toMatchObject([{ version: 1 + (restarted ? 1 : 0) }]);
      expect(refusalOf(fed, put('d'))).toEqual(tooMany(3));
      expect(refusalOf(fed, put('a'))).toBeNull();
      expect(fed.fails(put('a'))).toBeNull();
      const other = txn({ compare: [versionIs('none', 0, 1)], success: [put('d')], failure: [put('b')] });
      expect(fed.fails(other)).toBeNull();
    }
    expect(fed.fails(txn({ success: [remove('c'), put('d')] }))).toBeNull();
    expect(fed.fails(remove(everything))).toBeNull();
    fed.batch([put('e'), put('f'), put('e'), put('g'), put('h'), put('f')]);
    expect(fed.range(everything).kvs).toMatchObject([{ version: 2 }, { version: 2 }, { version: 1 }]);
    fed.do(bounded({ keysMax: 2 }));
    for (const key of ['h', 'i']) expect(fed.fails(put(key))).toEqual(tooMany(2));
    expect(fed.fails(txn({ success: [remove('e'), put('h')] }))).toBeNull();
    expect(fed.fails(txn({ success: [put('f'), put('g')] }))).toBeNull();
    fed.do(bounded({ keysMax: null }));
    expect(fed.fails(put('i'))).toBeNull();
  }),
  rule('MVCC-BOUND-2: the bounds on leases and access keys count those that can still be used', (fed) => {
    fed.batch([toLevel(groupLevel.sixth), bounded({ leasesMax: 2, accessKeysMax: 2 }), grant(1), grant(2)]);
    fed.batch([create('a'), create('b')]);
    const leases = { kind: 'tooMany', what: 'leases', max: 2 } as const;
    const keys = { kind: 'tooManyAccessKeys', max: 2 } as const;
    for (const restarted of [false, true]) {
      if (restarted) fed.reopen();
      expect([fed.fails(grant(3)), refusalOf(fed, grant(3))]).toEqual([leases, leases]);
      expect([fed.fails(create('c')), refusalOf(fed, create('c'))]).toEqual([keys, keys]);
    }
    expect(fed.fails(rotate('a', 'd'))).toBeNull();
    expect(fed.fails(create('c'))).toEqual(keys);
    expect(fed.fails({ kind: 'revokeAccessKey', id: 'b' })).toBeNull();
    expect(fed.fails(create('c'))).toBeNull();
    expect(fed.fails(revokeLease(1))).toBeNull();
    expect(fed.fails(grant(3))).toBeNull();
    fed.do(bounded({ leasesMax: null, accessKeysMax: 3 }));
    expect([fed.fails(grant(4)), fed.fails(create('e')), fed.fails(create('f'))]).toEqual([
      null,
      null,
      { ...keys, max: 3 },
    ]);
  }),
  rule('MVCC-BOUND-3: bounds count in groups of level 6, and are kept while the level is lower', (fed) => {
    fed.batch([toLevel(groupLevel.fifth), bounded({ keysMax: 1, leasesMax: 1, accessKeysMax: 1 })]);
    fed.batch([put('a'), put('b'), grant(1), grant(2), create('a'), create('b')]);
    const asked = [put('c'), grant(3), create('c')];
    const refused = (): readonly boolean[] => asked.map((each) => refusalOf(fed, each) !== null);
    fed.store.sizes();
    expect(refused()).toEqual([false, false, false]);
    fed.batch([toLevel(groupLevel.sixth), put('c'), grant(3), create('c')]);
    expect(fed.store.sizes().keys).toBe(2);
    expect(refused()).toEqual([true, true, true]);
    fed.batch([toLevel(groupLevel.fifth), ...asked]);
    expect([fed.store.sizes().keys, fed.store.leaseCount, fed.store.accessKeys().length]).toEqual([3, 3, 3]);
    fed.reopen();
    fed.do(toLevel(groupLevel.sixth));
    expect(fed.fails(put('d'))).toEqual(tooMany(1));
  }),
  rule('MVCC-BOUND-5: from level 6 on, terms older than those of the store change nothing', (fed) => {
    fed.batch([toLevel(groupLevel.fifth), bounded({ keysMax: 5, version: 3 }), bounded({ keysMax: 4, version: 2 })]);
    expect(fed.store.term('keysMax')).toBe(4);
    fed.batch([toLevel(groupLevel.sixth), bounded({ keysMax: 6, version: 3 })]);
    for (const restarted of [false, true]) {
      if (restarted) fed.reopen();
      fed.do(bounded({ keysMax: 7, version: 2 }));
      expect([fed.store.term('keysMax'), fed.store.term('version')]).toEqual([6, 3]);
    }
    fed.do(bounded({ keysMax: 8, version: 3 }));
    expect(fed.store.term('keysMax')).toBe(8);
    fed.do(bounded({ wipeAtMs: 1 }));
    expect([fed.store.term('keysMax'), fed.store.term('wipeAtMs')]).toEqual([8, 1]);
  }),
  rule('MVCC-BOUND-4: what was refused at a bound is remembered, and is refused again once there is room', (fed) => {
    fed.batch([toLevel(groupLevel.sixth), bounded({ keysMax: 1 }), put('a')]);
    const refused = { writeId: 'refused', caller: service, atMs: 1, operation: put('b') };
    for (const restarted of [false, true]) {
      if (restarted) {
        fed.reopen();
        fed.do(remove('a'));
      }
      expect(fed.commands([refused])[0]).toMatchObject({ kind: 'failed', failure: tooMany(1) });
    }
    expect(fed.fails(put('b'))).toBeNull();
  }),
];
