// Rules of the store: alarms, hashes, its status.

import { expect } from 'vitest';
import { alarmsMax, quotaBytesDefault } from '../../../src/limits.ts';
import { alarmKind, type Operation } from '../../../src/model/store.ts';
import { rule, type StoreRule } from './contract.ts';
import {
  compact,
  expire,
  type Fed,
  grant,
  keyRange,
  put,
  putLeased,
  read,
  remove,
  revokeLease,
  txn,
  versionIs,
} from '../requests.ts';

const activate = (memberId: bigint, alarm: number): Operation => ({
  kind: 'alarmActivate',
  alarm: { memberId, alarm },
});
const deactivate = (memberId: bigint, alarm: number): Operation => ({
  kind: 'alarmDeactivate',
  alarm: { memberId, alarm },
});
const { noSpace, corrupt, none } = alarmKind;

function hashKv(fed: Fed, revision = 0): readonly [number, number, number] {
  const { hash, hashRevision, compactedRevision } = fed.ask<'hashKv'>({ kind: 'hashKv', revision });
  return [hash, hashRevision, compactedRevision];
}

const hash = (fed: Fed): number => fed.ask<'hash'>({ kind: 'hash' }).hash;

export const administrationRules: readonly StoreRule[] = [
  rule('MVCC-ALARM-1: an alarm is a pair of member and kind; both must be given to end it', (fed) => {
    const alarms = (alarm = 0): unknown =>
      fed.ask<'alarms'>({ kind: 'alarms', alarm }).alarms.map((each) => [each.memberId, each.alarm]);
    const did = (operation: Operation): unknown => {
      const outcome = fed.do(operation);
      return outcome.kind === 'alarm'
        ? [outcome.revision, ...outcome.alarms.map((each) => [each.memberId, each.alarm])]
        : outcome;
    };
    expect([did(activate(5n, none)), did(deactivate(5n, noSpace))]).toEqual([[1], [1]]);
    const most = 2n ** 64n - 1n;
    for (let again = 0; again < 2; again++) expect(did(activate(most, noSpace))).toEqual([1, [most, noSpace]]);
    fed.batch([activate(0n, corrupt), activate(0n, noSpace)]);
    for (const restarted of [false, true]) {
      if (restarted) fed.reopen();
      expect(alarms()).toEqual([
        [0n, noSpace],
        [0n, corrupt],
        [most, noSpace],
      ]);
      expect([alarms(noSpace), alarms(corrupt)]).toEqual([
        [
          [0n, noSpace],
          [most, noSpace],
        ],
        [[0n, corrupt]],
      ]);
    }
    expect([did(deactivate(most, none)), did(deactivate(1n, noSpace))]).toEqual([[1], [1]]);
    expect(did(deactivate(most, noSpace))).toEqual([1, [most, noSpace]]);
    expect(alarms()).toEqual([
      [0n, noSpace],
      [0n, corrupt],
    ]);
  }),
  rule('MVCC-ALARM-2: NOSPACE refuses what takes space, whichever branch would run; the rest goes on', (fed) => {
    fed.batch([put('k'), grant(1), putLeased('leased', 1), grant(2), activate(1n, noSpace)]);
    const refused = [
      put('k'),
      put('k', 'v', { lease: 404n as never }),
      grant(3),
      grant(1),
      txn({ success: [put('k')] }),
      txn({ failure: [put('k')] }),
      txn({ success: [txn({ failure: [put('k')] })] }),
    ];
    for (const operation of refused) expect(fed.fails(operation)).toEqual({ kind: 'noSpace' });
    // The alarm counts also for the other commands of its entry.
    expect(fed.batch([put('a'), remove('none'), put('b')]).map((outcome) => outcome.kind)).toEqual([
      'failed',
      'deleteRange',
      'failed',
    ]);
    const taken = [
      txn({ success: [read('k')] }),
      txn({ success: [remove('none')] }),
      txn({}),
      remove('k'),
      revokeLease(2),
      expire(1),
      compact(2),
    ];
    for (const operation of taken) expect(fed.fails(operation)).toBeNull();
    expect(fed.fails(put(''))).toEqual({ kind: 'keyNotProvided' });
    fed.do(deactivate(1n, noSpace));
    expect(fed.fails(put('k'))).toBeNull();
  }),
  rule('MVCC-ALARM-3: CORRUPT refuses everything that writes keys or leases, and comes before NOSPACE', (fed) => {
    fed.batch([put('k'), grant(1), activate(9n, noSpace), activate(9n, corrupt)]);
    const refused = [
      put('k'),
      remove('k'),
      txn({ success: [put('k')] }),
      txn({ failure: [remove('none')] }),
      txn({ success: [txn({})] }),
      compact(1),
      grant(2),
      revokeLease(1),
      expire(1),
    ];
    for (const operation of refused) expect(fed.fails(operation)).toEqual({ kind: 'corruptAlarm' });
    const taken: readonly Operation[] = [
      txn({ compare: [versionIs('k', 0)], success: [read('k')] }),
      { kind: 'userAdd', name: 'u', passwordHash: null },
      { kind: 'leaseCheckpoint', deadlines: [], settled: true },
    ];
    for (const operation of taken) expect(fed.fails(operation)).toBeNull();
    expect(fed.range('k').count).toBe(1);
    expect(fed.fails(deactivate(9n, corrupt))).toBeNull();
    expect(fed.fails(revokeLease(1))).toBeNull();
    expect(fed.fails(grant(2))).toEqual({ kind: 'noSpace' });
  }),
  rule('MVCC-LIMIT-11: alarmsMax alarms, and not one more', (fed) => {
    fed.batch(Array.from({ length: alarmsMax }, (_, n) => activate(BigInt(n), corrupt)));
    expect(fed.fails(activate(7n, noSpace))).toEqual({ kind: 'tooMany', what: 'alarms', max: alarmsMax });
    expect(fed.fails(activate(7n, corrupt))).toBeNull();
  }),
  rule('MVCC-HASH-1: the hash at a revision stays, whatever came later, was swept or restarted', (fed) => {
    const big = 'x'.repeat(2_000);
    fed.batch([put('a', '1'), put('b', big), put('a', '2'), remove('b'), put('c', big)]);
    const at = [1, 2, 3, 4, 5, 6].map((revision) => hashKv(fed, revision));
    expect(new Set(at.map(([value]) => value)).size).toBe(6);
    expect(at.map(([, revision, compacted]) => [revision, compacted])).toEqual(
      [1, 2, 3, 4, 5, 6].map((revision) => [revision, -1]),
    );
    expect(hashKv(fed)).toEqual(at[5]);
    fed.batch([put('c', 'other'), put('b', 'again'), remove(keyRange('a', 'z'))]);
    fed.reopen();
    expect([1, 2, 3, 4, 5, 6].map((revision) => hashKv(fed, revision))).toEqual(at);
    fed.do(compact(5));
    const compacted = [5, 6, 7, 8, 9].map((revision) => hashKv(fed, revision));
    const whole = hash(fed);
    fed.sweep(2);
    fed.reopen();
    expect([5, 6, 7, 8, 9].map((revision) => hashKv(fed, revision))).toEqual(compacted);
    expect(hash(fed)).toBe(whole);
    expect(fed.askFails({ kind: 'hashKv', revision: 4 })).toEqual({ kind: 'compacted', compactedRevision: 5 });
    expect(fed.askFails({ kind: 'hashKv', revision: 10 })).toEqual({ kind: 'futureRevision', revision: 9 });
    expect(hashKv(fed, -3).slice(1)).toEqual([-3, 5]);
  }),
  rule('MVCC-HASH-2: the whole hash changes with everything that the store holds', (fed) => {
    const changes: readonly Operation[] = [
      put('k'),
      grant(1),
      putLeased('k', 1),
      { kind: 'leaseCheckpoint', deadlines: [{ id: 1n as never, deadlineMs: 7 }], settled: false },
      { kind: 'userAdd', name: 'u', passwordHash: 'a' },
      { kind: 'userChangePassword', name: 'u', passwordHash: 'b' },
      { kind: 'roleAdd', name: 'r' },
      { kind: 'userGrantRole', name: 'u', role: 'r' },
      { kind: 'roleGrantPermission', role: 'r', permission: { ...keyRange('k'), type: 0 } },
      activate(1n, corrupt),
      { kind: 'downgradeEnable', targetVersion: '3.6' },
      {
        kind: 'createAccessKey',
        accessKey: { id: 'i', role: 'read', prefix: new Uint8Array(0), expiresAtMs: null, createdAtMs: 1, name: '' },
      },
    ];
    const hashes = [hash(fed), ...changes.map((operation) => (fed.do(operation), hash(fed)))];
    expect(new Set(hashes).size).toBe(changes.length + 1);
    for (const each of hashes) expect(Number.isInteger(each) && each >= 0 && each < 2 ** 32).toBe(true);
  }),
  rule('MVCC-STATUS-1: the status tells sizes, quota, alarms and an announced downgrade, over restarts', (fed) => {
    const status = () => fed.ask<'storeStatus'>({ kind: 'storeStatus' });
    expect(status()).toMatchObject({ quotaBytes: quotaBytesDefault, alarms: [], downgradeTarget: null });
    expect(status().databaseBytes).toBeGreaterThanOrEqual(status().databaseBytesInUse);
    expect(status().databaseBytesInUse).toBeGreaterThan(0);
    expect(fed.fails({ kind: 'downgradeCancel' })).toBeNull();
    fed.batch([{ kind: 'downgradeEnable', targetVersion: '3.6' }, activate(3n, noSpace)]);
    fed.reopen();
    expect(status()).toMatchObject({ alarms: [{ memberId: 3n, alarm: noSpace }], downgradeTarget: '3.6' });
    expect(fed.fails({ kind: 'downgradeEnable', targetVersion: '3.6' })).toEqual({ kind: 'downgradeInProgress' });
    fed.do({ kind: 'downgradeCancel' });
    fed.reopen();
    expect(status().downgradeTarget).toBeNull();
  }),
];
