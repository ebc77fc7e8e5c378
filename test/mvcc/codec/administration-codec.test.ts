import { expect, it } from 'vitest';
import type { AuthFailure } from '../../../src/model/auth.ts';
import { leaseId, revision } from '../../../src/model/brands.ts';
import { emptyBytes, utf8 } from '../../../src/base/bytes.ts';
import type { Caller, Command, Operation, Outcome, StoreFailure } from '../../../src/model/store.ts';
import { commandBytes, decodeCommands, encodeCommands } from '../../../src/mvcc/codec/command-codec.ts';
import { decodeOutcome, encodeOutcome } from '../../../src/mvcc/codec/outcome-codec.ts';

const name = 'ü–'.repeat(9);
const range = { key: utf8('a'), rangeEnd: utf8('b') };
const operations: readonly Operation[] = [
  { kind: 'leaseGrant', id: leaseId(-(2n ** 63n)), candidate: leaseId(2n ** 53n - 1n), ttlSeconds: -1 },
  { kind: 'leaseRevoke', id: leaseId(2n ** 63n - 1n) },
  { kind: 'leaseExpire', leases: [leaseId(1n), leaseId(-2n)].map((id) => ({ id, storedMs: null })) },
  { kind: 'leaseCheckpoint', deadlines: [{ id: leaseId(7n), deadlineMs: 1.75e12 }], settled: true },
  { kind: 'leaseCheckpoint', deadlines: [], settled: false },
  { kind: 'authEnable' },
  { kind: 'authDisable' },
  { kind: 'userAdd', name, passwordHash: null },
  { kind: 'userAdd', name, passwordHash: '' },
  { kind: 'userDelete', name },
  { kind: 'userChangePassword', name, passwordHash: 'hash' },
  { kind: 'userGrantRole', name, role: 'root' },
  { kind: 'userRevokeRole', name, role: 'root' },
  { kind: 'roleAdd', name },
  { kind: 'roleDelete', name },
  { kind: 'roleGrantPermission', role: name, permission: null },
  { kind: 'roleGrantPermission', role: name, permission: { ...range, type: -9 } },
  { kind: 'roleRevokePermission', role: name, range: { ...range, rangeEnd: emptyBytes } },
  { kind: 'alarmActivate', alarm: { memberId: 2n ** 64n - 1n, alarm: 1 } },
  { kind: 'downgradeEnable', targetVersion: '3.6' },
  { kind: 'downgradeCancel' },
  { kind: 'learnerChange', from: 0n, to: { id: 2n ** 64n - 1n, peerUrls: ['http://192.0.2.9:2380', name] } },
  { kind: 'learnerChange', from: 2n ** 64n - 1n, to: null },
  { kind: 'alarmDeactivate', alarm: { memberId: 0n, alarm: -7 } },
];
const callers: readonly Caller[] = [
  { kind: 'service' },
  { kind: 'accessKey', id: 'k1' },
  { kind: 'user', id: 'k1', name, authRevision: 2 ** 40 },
  { kind: 'anonymous', id: 'k1', token: 'none' },
  { kind: 'anonymous', id: 'k1', token: 'invalid' },
];

it('MVCC-CODEC-1: commands of leases, users, roles and alarms, by every caller, come back as they were', () => {
  const commands = operations.flatMap((operation) =>
    callers.map((caller): Command => ({ writeId: 'w', caller, atMs: 5, operation })),
  );
  const encoded = encodeCommands(commands);
  expect(decodeCommands(encoded)).toEqual(commands);
  for (const command of commands) {
    expect(encodeCommands([command]).byteLength).toBeLessThanOrEqual(commandBytes(command) + 8);
  }
});

it('MVCC-CODEC-5: their outcomes come back as they were', () => {
  const kinds: readonly (AuthFailure['kind'] | 'leaseExists' | 'leaseTtlTooLarge' | 'corruptAlarm')[] = [
    'leaseExists',
    'leaseTtlTooLarge',
    'corruptAlarm',
    'userNotFound',
    'invalidAuthManagement',
    'permissionDenied',
  ];
  const failures: readonly StoreFailure[] = [
    ...kinds.map((kind) => ({ kind })),
    { kind: 'tooMany', what: 'alarms', max: 4 },
    { kind: 'tooMany', what: 'keys', max: 70_000 },
    { kind: 'nameTooLong', bytes: 300 },
    { kind: 'downgradeInProgress' },
    { kind: 'operationNotServed', operation: 'authEnable' },
  ];
  const at = revision(9);
  const outcomes: readonly Outcome[] = [
    { kind: 'leaseGrant', revision: at, id: leaseId(-5n), ttlSeconds: 9_000_000_000 },
    { kind: 'alarm', revision: at, alarms: [{ memberId: 2n ** 64n - 1n, alarm: 2 }] },
    { kind: 'done', revision: at },
    ...failures.map((failure): Outcome => ({ kind: 'failed', revision: at, failure })),
  ];
  for (const outcome of outcomes) expect(decodeOutcome(encodeOutcome(outcome))).toEqual(outcome);
});
