// Rules of the store: callers and what they may do, and the access keys of the tenant.

import { expect } from 'vitest';
import { utf8 } from '../../../src/base/bytes.ts';
import { accessKeysMax } from '../../../src/limits.ts';
import { groupLevel } from '../../../src/model/levels.ts';
import { termChanges, termCode } from '../../../src/model/terms.ts';
import type { AccessKey, AccessRole, Caller, KeyRange, Operation } from '../../../src/model/store.ts';
import { type AccessNeed, accessOfOperation, accessOfRange } from '../../../src/mvcc/auth/access.ts';
import { rule, type StoreRule } from './contract.ts';
import {
  compact,
  everything,
  type Fed,
  fromKeyOn,
  grant,
  keyRange,
  prefix,
  put,
  putLeased,
  read,
  remove,
  revokeLease,
  service,
  toLevel,
  txn,
  versionIs,
} from '../requests.ts';

const caller = (id: string): Caller => ({ kind: 'accessKey', id });

type KeyOptions = {
  readonly prefix?: string | Uint8Array;
  readonly expiresAtMs?: number | null;
  readonly createdAtMs?: number;
  readonly name?: string;
};

function create(id: string, role: AccessRole, options: KeyOptions = {}): Operation {
  return { kind: 'createAccessKey', accessKey: keyOf(id, role, options) };
}

function keyOf(id: string, role: AccessRole, options: KeyOptions = {}): AccessKey {
  const { prefix: held = '', expiresAtMs = null, createdAtMs = 1, name: called = '' } = options;
  const bytes = typeof held === 'string' ? utf8(held) : held;
  return { id, name: called, role, prefix: bytes, expiresAtMs, createdAtMs };
}

const name = (n: number): string => `key-${String(n).padStart(5, '0')}`;

const revoke = (id: string): Operation => ({ kind: 'revokeAccessKey', id });

const wipedAt = (value: number | null): Operation => ({ kind: 'terms', changes: [{ code: termCode.wipeAtMs, value }] });

const needKinds = ['keys', 'admin'] as const;

function isNeed(need: AccessNeed | Operation): need is AccessNeed {
  return needKinds.some((kind) => kind === need.kind);
}

function may(fed: Fed, id: string, need: AccessNeed | Operation, nowMs = 1): boolean {
  const wanted = isNeed(need) ? need : accessOfOperation(need);
  const failure = fed.store.authorize(caller(id), wanted, nowMs);
  expect(failure === null || failure.kind === 'forbidden').toBe(true);
  return failure === null;
}

const mayRead = (fed: Fed, id: string, range: KeyRange): boolean => may(fed, id, accessOfRange(range));

export const accessRules: readonly StoreRule[] = [
  rule('MVCC-ACCESS-1: the service may do everything; an unknown key nothing', (fed) => {
    expect(fed.store.authorize(service, { kind: 'admin' }, 1)).toBeNull();
    const unknown = { kind: 'unauthenticated', reason: 'unknown' };
    expect(fed.store.authorize(caller('none'), accessOfRange(everything), 1)).toEqual(unknown);
    expect(fed.fails(put('k'), caller('none'))).toEqual(unknown);
  }),
  rule('MVCC-ACCESS-2: read reads, write writes too, admin compacts and makes keys too', (fed) => {
    for (const role of ['read', 'write', 'admin'] as const) fed.do(create(role, role));
    const may3 = (need: AccessNeed | Operation): boolean[] =>
      ['read', 'write', 'admin'].map((id) => may(fed, id, need));
    expect(may3(accessOfRange(everything))).toEqual([true, true, true]);
    for (const operation of [put('k'), remove('k'), txn({ failure: [put('k')] })]) {
      expect(may3(operation)).toEqual([false, true, true]);
    }
    for (const operation of [compact(1), create('new', 'read'), revoke('read')]) {
      expect(may3(operation)).toEqual([false, false, true]);
    }
    expect(may3(txn({ compare: [versionIs('k', 0)], success: [read('k')] }))).toEqual([true, true, true]);
    expect(fed.fails(put('k'), caller('read'))).toEqual({ kind: 'forbidden', need: 'write', prefix: null });
    expect(fed.fails(compact(1), caller('write'))).toEqual({ kind: 'forbidden', need: 'admin', prefix: null });
    expect(fed.fails(put('k'), caller('write'))).toBeNull();
    expect(fed.store.revision).toBe(2);
  }),
  rule('MVCC-ACCESS-3: a prefix must hold the whole of every range, in both branches of a txn and nested', (fed) => {
    fed.do(create('app', 'write', { prefix: 'app/' }));
    const held = [
      keyRange('app/'),
      keyRange('app/k'),
      prefix('app/'),
      keyRange('app/a', 'app/b'),
      keyRange('app/z', 'app/a'),
    ];
    for (const range of held) expect(mayRead(fed, 'app', range)).toBe(true);
    const beyond = [
      keyRange('app'),
      keyRange('app0'),
      prefix('app'),
      everything,
      keyRange('app/', fromKeyOn),
      keyRange('app/k', 'app0\0'),
      keyRange('app/k', 'b'),
      keyRange('a', 'app/b'),
      keyRange('z', 'app/'),
    ];
    for (const range of beyond) {
      expect(mayRead(fed, 'app', range)).toBe(false);
      expect(may(fed, 'app', remove(range))).toBe(false);
      expect(may(fed, 'app', txn({ failure: [read(range)] }))).toBe(false);
      expect(may(fed, 'app', txn({ success: [put('app/k'), txn({ failure: [remove(range)] })] }))).toBe(false);
      expect(may(fed, 'app', txn({ compare: [versionIs(range, 0)] }))).toBe(false);
      expect(may(fed, 'app', txn({ success: [txn({ compare: [versionIs(range, 0)] })] }))).toBe(false);
    }
    expect(
      may(fed, 'app', txn({ compare: [versionIs('app/k', 0)], success: [put('app/k')], failure: [read('app/k')] })),
    ).toBe(true);
    expect(fed.fails(put('other'), caller('app'))).toEqual({
      kind: 'forbidden',
      need: 'write outside of its prefix',
      prefix: utf8('app/'),
    });
  }),
  rule('MVCC-ACCESS-4: a prefix of 0xff alone holds every key from it on', (fed) => {
    fed.do(create('high', 'read', { prefix: Uint8Array.of(0xff) }));
    expect(mayRead(fed, 'high', keyRange(Uint8Array.of(0xff), fromKeyOn))).toBe(true);
    expect(mayRead(fed, 'high', keyRange(Uint8Array.of(0xfe), fromKeyOn))).toBe(false);
  }),
  rule(
    'MVCC-ACCESS-5: a key ends with its expiry, by the time of the command, and with its revocation, over restarts',
    (fed) => {
      fed.do(create('short', 'write', { expiresAtMs: 1_000 }));
      fed.do(create('gone', 'write'));
      expect(fed.fails(put('k'), caller('short'), 999)).toBeNull();
      expect(fed.fails(put('k'), caller('short'), 1_000)).toEqual({ kind: 'unauthenticated', reason: 'expired' });
      expect(fed.do(revoke('gone'))).toMatchObject({ kind: 'revokeAccessKey', existed: true });
      expect(fed.do(revoke('gone'))).toMatchObject({ existed: false });
      expect(fed.do(revoke('none'))).toMatchObject({ existed: false });
      for (const restarted of [false, true]) {
        if (restarted) fed.reopen();
        expect(fed.fails(put('k'), caller('gone'))).toEqual({ kind: 'unauthenticated', reason: 'revoked' });
        expect(fed.store.accessKeys().map((accessKey) => accessKey.id)).toEqual(['short']);
      }
    },
  ),
  rule('MVCC-ACCESS-6: a revoked key learns nothing by a retry of what it wrote', (fed) => {
    fed.do(create('me', 'write'));
    const command = { writeId: 'w', caller: caller('me'), atMs: 1, operation: put('k') };
    fed.commands([command]);
    fed.do(revoke('me'));
    expect(fed.commands([command])).toMatchObject([{ kind: 'failed', failure: { reason: 'revoked' } }]);
  }),
  rule('MVCC-ACCESS-7: keys make no revision, and an id is given once, also one that is revoked', (fed) => {
    expect(fed.do(create('one', 'read'))).toEqual({ kind: 'createAccessKey', revision: 1 });
    expect(fed.fails(create('one', 'admin'))).toEqual({ kind: 'accessKeyExists' });
    fed.do(revoke('one'));
    expect(fed.fails(create('one', 'admin'))).toEqual({ kind: 'accessKeyExists' });
    expect(fed.store.revision).toBe(1);
  }),
  rule('MVCC-LIMIT-6: accessKeysMax keys may be used, one more is refused; of dead ones as many are kept', (fed) => {
    const make = (n: number): Operation => create(name(n), 'read', { createdAtMs: n });
    fed.batch(Array.from({ length: accessKeysMax }, (_, n) => make(n)));
    const full = { kind: 'tooManyAccessKeys', max: accessKeysMax };
    expect(fed.fails(make(accessKeysMax))).toEqual(full);
    fed.batch(Array.from({ length: accessKeysMax }, (_, n) => revoke(name(n))));
    fed.batch(Array.from({ length: accessKeysMax }, (_, n) => make(accessKeysMax + n)));
    expect(fed.fails(make(2 * accessKeysMax))).toEqual(full);
    fed.do(revoke(name(accessKeysMax)));
    expect(fed.fails(make(2 * accessKeysMax))).toBeNull();
    fed.reopen();
    const reason = (n: number): unknown => fed.store.authorize(caller(name(n)), { kind: 'admin' }, 1);
    expect(reason(0)).toMatchObject({ reason: 'unknown' });
    expect(reason(1)).toMatchObject({ reason: 'revoked' });
    expect(fed.store.accessKeys()).toHaveLength(accessKeysMax);
  }),
  rule('MVCC-ACCESS-8: a rotated key ends after the overlap, and another one has its rights', (fed) => {
    fed.do(toLevel(groupLevel.fourth));
    fed.batch([create('old', 'write', { prefix: 'app/', name: 'ci' }), create('short', 'read', { expiresAtMs: 5 })]);
    const rotate = (id: string, to: string, endsAtMs: number): Operation => {
      const accessKey = fed.store.accessKeys().find((key) => key.id === id) ?? keyOf(id, 'read');
      return { kind: 'rotateAccessKey', id, endsAtMs, accessKey: { ...accessKey, id: to } };
    };
    expect(fed.do(rotate('old', 'new', 10))).toMatchObject({ kind: 'done' });
    expect(fed.do(rotate('short', 'other', 10))).toMatchObject({ kind: 'done' });
    for (const restarted of [false, true]) {
      if (restarted) fed.reopen();
      expect(fed.store.accessKeys()).toMatchObject([
        { id: 'new', name: 'ci', role: 'write', expiresAtMs: null },
        { id: 'old', name: 'ci', role: 'write', expiresAtMs: 10 },
        { id: 'other', name: '', role: 'read', expiresAtMs: 5 },
        { id: 'short', name: '', role: 'read', expiresAtMs: 5 },
      ]);
      expect(may(fed, 'old', put('app/k'), 9)).toBe(true);
      expect(may(fed, 'new', put('app/k'), 11)).toBe(true);
      expect(fed.store.authorize(caller('old'), accessOfRange(keyRange('app/k')), 10)).toMatchObject({
        reason: 'expired',
      });
      for (const id of ['old', 'none']) expect(fed.fails(rotate(id, 'again', 10))).toEqual({ kind: 'accessKeyEnding' });
    }
    fed.do(revoke('new'));
    expect(fed.fails(rotate('new', 'again', 10))).toEqual({ kind: 'accessKeyEnding' });
    expect(fed.fails(rotate('other', 'again', 10), service, 5)).toEqual({ kind: 'accessKeyEnding' });
    expect(may(fed, 'old', rotate('old', 'x', 1))).toBe(false);
  }),
  rule('MVCC-ACCESS-9: names of keys are kept from level 4 on, and lost where the level falls', (fed) => {
    fed.do(create('early', 'read', { name: 'lost' }));
    fed.batch([toLevel(groupLevel.fourth), create('later', 'read', { name: 'kept' })]);
    const names = (): string[] => fed.store.accessKeys().map(({ name: each }) => each);
    for (const restarted of [false, true]) {
      if (restarted) fed.reopen();
      expect(names()).toEqual(['', 'kept']);
    }
    fed.do(toLevel(groupLevel.third));
    expect(names()).toEqual(['', '']);
    fed.do(toLevel(groupLevel.fourth));
    expect(names()).toEqual(['', '']);
  }),
  rule('MVCC-ACCESS-10: while a tenant is suspended the service alone may do anything', (fed) => {
    fed.batch([create('admin', 'admin'), create('ended', 'admin')]);
    fed.batch([toLevel(groupLevel.fourth), revoke('ended'), { kind: 'suspension', isSuspended: true }]);
    const suspended = { kind: 'tenantSuspended' };
    for (const restarted of [false, true]) {
      if (restarted) fed.reopen();
      expect(fed.store.suspension).toEqual(suspended);
      expect(fed.fails(put('k'), caller('admin'))).toEqual(suspended);
      expect(fed.fails({ kind: 'suspension', isSuspended: false }, caller('admin'))).toEqual(suspended);
      for (const need of [accessOfRange(everything), { kind: 'anyone' }] as const) {
        expect(fed.store.authorize(caller('admin'), need, 1)).toEqual(suspended);
        expect(fed.store.authorize(caller('ended'), need, 1)).toMatchObject({ reason: 'revoked' });
        expect(fed.store.authorize(service, need, 1)).toBeNull();
      }
      // A later attempt may come when the tenant is resumed.
      const later = { writeId: 'later', caller: caller('admin'), operation: put('k'), atMs: 1 };
      expect(fed.store.answerWithoutLog(later)).toEqual({ kind: 'refusedAlone', failure: suspended });
    }
    fed.do(toLevel(groupLevel.third));
    expect(fed.fails(put('k'), caller('admin'))).toBeNull();
    fed.do(toLevel(groupLevel.fourth));
    expect(fed.fails(put('k'), caller('admin'))).toEqual(suspended);
    fed.do({ kind: 'suspension', isSuspended: false });
    expect(fed.fails({ kind: 'suspension', isSuspended: true }, caller('admin'))).toMatchObject({ kind: 'forbidden' });
    expect(fed.fails(put('k'), caller('admin'))).toBeNull();
  }),
  rule('MVCC-ACCESS-11: while a tenant is under deletion the service alone may do anything', (fed) => {
    fed.batch([create('admin', 'admin'), toLevel(groupLevel.fifth), { kind: 'suspension', isSuspended: true }]);
    fed.do({ kind: 'terms', changes: [{ code: 1_000, value: 1 }] });
    expect(fed.store.suspension).toEqual({ kind: 'tenantSuspended' });
    fed.do(wipedAt(7));
    const deleted = { kind: 'tenantUnderDeletion', wipeAtMs: 7 };
    for (const restarted of [false, true]) {
      if (restarted) fed.reopen();
      expect(fed.store.suspension).toEqual(deleted);
      expect(fed.fails(put('k'), caller('admin'))).toEqual(deleted);
      expect(fed.fails(wipedAt(null), caller('admin'))).toEqual(deleted);
      expect(fed.store.authorize(caller('admin'), { kind: 'anyone' }, 1)).toEqual(deleted);
      expect(fed.store.authorize(service, { kind: 'anyone' }, 1)).toBeNull();
      const later = { writeId: 'later', caller: caller('admin'), operation: put('k'), atMs: 1 };
      expect(fed.store.answerWithoutLog(later)).toEqual({ kind: 'refusedAlone', failure: deleted });
    }
    fed.do(toLevel(groupLevel.fourth));
    expect(fed.store.suspension).toEqual({ kind: 'tenantSuspended' });
    fed.do(toLevel(groupLevel.fifth));
    expect(fed.store.suspension).toEqual(deleted);
    fed.do(wipedAt(null));
    expect(fed.store.suspension).toEqual({ kind: 'tenantSuspended' });
    fed.do({ kind: 'suspension', isSuspended: false });
    expect(fed.fails(wipedAt(7), caller('admin'))).toMatchObject({ kind: 'forbidden' });
    expect(fed.fails(put('k'), caller('admin'))).toBeNull();
  }),
  rule('MVCC-ACCESS-13: a key of several prefixes opens what lies in one of them, from level 6 on', (fed) => {
    const accessKey = { ...keyOf('several', 'write', { prefix: 'b/' }), morePrefixes: [utf8('a/'), utf8('d')] };
    fed.batch([create('early', 'write', { prefix: 'a/' }), toLevel(groupLevel.sixth)]);
    fed.batch([{ kind: 'createAccessKey', accessKey }, grant(1), grant(2), putLeased('a/x', 1), putLeased('d', 1)]);
    fed.batch([putLeased('b/x', 2), putLeased('c', 2)]);
    const rotated = { ...accessKey, id: 'rotated' };
    fed.do({ kind: 'rotateAccessKey', id: 'several', endsAtMs: 1_000, accessKey: rotated });
    for (const restarted of [false, true]) {
      if (restarted) fed.reopen();
      expect(fed.store.accessKeys().find(({ id }) => id === 'several')).toEqual({ ...accessKey, expiresAtMs: 1_000 });
      for (const id of ['several', 'rotated']) {
        for (const key of ['a/x', 'b/x', 'd', 'dx']) expect([key, may(fed, id, put(key))]).toEqual([key, true]);
        for (const key of ['a', 'b', 'c', 'e']) expect([key, may(fed, id, put(key))]).toEqual([key, false]);
        expect(may(fed, id, txn({ success: [put('a/y'), read(prefix('b/'))] }))).toBe(true);
        expect(may(fed, id, txn({ success: [put('a/y'), put('c')] }))).toBe(false);
        expect(may(fed, id, remove(keyRange('a/', 'd')))).toBe(false);
        expect([may(fed, id, revokeLease(1)), may(fed, id, revokeLease(2))]).toEqual([true, false]);
        const outside = fed.store.authorize(caller(id), accessOfOperation(put('c')), 1);
        expect(outside).toMatchObject({ kind: 'forbidden', need: expect.stringContaining('its prefixes') });
      }
    }
    // At a lower level the key opens less, for good.
    fed.batch([toLevel(groupLevel.fifth), toLevel(groupLevel.sixth)]);
    for (const restarted of [false, true]) {
      if (restarted) fed.reopen();
      expect([may(fed, 'rotated', put('b/x')), may(fed, 'rotated', put('a/x'))]).toEqual([true, false]);
      expect(may(fed, 'early', put('a/x'))).toBe(true);
    }
  }),
  rule('MVCC-ACCESS-12: terms that decide no command count also where the level is lower', (fed) => {
    fed.do(toLevel(groupLevel.fifth));
    fed.do({ kind: 'terms', changes: termChanges({ retentionSeconds: 0, quotaBytes: 7, wipeAtMs: 7 }) });
    for (const level of [groupLevel.fifth, groupLevel.first]) {
      fed.do(toLevel(level));
      for (const restarted of [false, true]) {
        if (restarted) fed.reopen();
        expect(fed.store.term('retentionSeconds')).toBe(0);
        expect(fed.store.term('quotaBytes')).toBe(7);
        expect(fed.store.term('readsPerSecond')).toBeNull();
        expect(fed.store.suspension === null).toBe(level === groupLevel.first);
      }
    }
  }),
];
