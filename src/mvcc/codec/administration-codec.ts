// The operations of leases, users, roles, alarms and levels as a log entry holds them. Their numbers follow those of
// `command-codec.ts`, which calls this.

import { unreachable } from '../../base/assert.ts';
import type { AuthOperation } from '../../model/auth.ts';
import { type BinaryReader, type BinaryWriter, MalformedBytesError } from '../../base/binary.ts';
import { leaseId } from '../../model/brands.ts';
import type {
  AccessKey,
  Alarm,
  AlarmOperation,
  DowngradeOperation,
  GroupLevelOperation,
  LearnerOperation,
  LeaseOperation,
  Operation,
  OverdueLease,
  TenantOperation,
} from '../../model/store.ts';
import {
  accessKeyBytes,
  hasMorePrefixes,
  readNamedAccessKey,
  readPrefixedAccessKey,
  writeNamedAccessKey,
  writePrefixedAccessKey,
} from './access-key-codec.ts';
import { readLearner, writeLearner } from '../announced-learner.ts';

export type AdministrationOperation =
  | LeaseOperation
  | AuthOperation
  | AlarmOperation
  | DowngradeOperation
  | GroupLevelOperation
  | LearnerOperation
  | TenantOperation;

const administrationCode = {
  leaseGrant: 6,
  leaseRevoke: 7,
  leaseExpire: 8,
  leaseCheckpoint: 9,
  authEnable: 10,
  authDisable: 11,
  userAdd: 12,
  userDelete: 13,
  userChangePassword: 14,
  userGrantRole: 15,
  userRevokeRole: 16,
  roleAdd: 17,
  roleDelete: 18,
  roleGrantPermission: 19,
  roleRevokePermission: 20,
  alarmActivate: 21,
  alarmDeactivate: 22,
  downgradeEnable: 23,
  downgradeCancel: 24,
  learnerChange: 25,
  groupLevel: 26,
  rotateAccessKey: 28,
  suspension: 29,
  terms: 31,
} as const satisfies Readonly<Record<AdministrationOperation['kind'], number>>;

/** The number of a `leaseExpire` that names deadlines. `command-codec.ts` has number 30. */
const leaseExpireStoredCode = 27;
/** The number of a `rotateAccessKey` whose key has several prefixes. `command-codec.ts` has number 32. */
const rotatePrefixedCode = 33;

const leaseBytes = 8;
const floatBytes = 8;
const numberBytesMax = 10;

export function isAdministration(operation: Operation): operation is AdministrationOperation {
  return Object.hasOwn(administrationCode, operation.kind);
}

/** The number by which an entry names the operation that follows. */
export function administrationCodeOf(operation: AdministrationOperation): number {
  if (rotatesPrefixes(operation)) return rotatePrefixedCode;
  return namesDeadlines(operation) ? leaseExpireStoredCode : administrationCode[operation.kind];
}

/** The first version of entries that has such an operation. */
export function entryVersionOf(operation: AdministrationOperation): number {
  if (rotatesPrefixes(operation)) return 7;
  if (operation.kind === 'terms') return 6;
  if (operation.kind === 'rotateAccessKey' || operation.kind === 'suspension') return 5;
  return operation.kind === 'groupLevel' || namesDeadlines(operation) ? 3 : 2;
}

function rotatesPrefixes(operation: AdministrationOperation): boolean {
  return operation.kind === 'rotateAccessKey' && hasMorePrefixes(operation.accessKey);
}

function namesDeadlines(operation: AdministrationOperation): boolean {
  return operation.kind === 'leaseExpire' && operation.leases.some((lease) => lease.storedMs !== null);
}

/** A character of JavaScript is at most three bytes of UTF-8. */
function textBytesMax(text: string): number {
  return 8 + text.length * 3;
}

/** The most bytes that an operation takes, without its number. */
export function administrationBytes(operation: AdministrationOperation): number {
  switch (operation.kind) {
    case 'leaseGrant':
      return 3 * leaseBytes;
    case 'leaseRevoke':
      return leaseBytes;
    case 'leaseExpire':
      return numberBytesMax + operation.leases.length * (leaseBytes + 1 + floatBytes);
    case 'leaseCheckpoint':
      return 1 + numberBytesMax + operation.deadlines.length * 2 * leaseBytes;
    case 'authEnable':
    case 'authDisable':
    case 'downgradeCancel':
      return 0;
    case 'groupLevel':
      return numberBytesMax;
    case 'downgradeEnable':
      return textBytesMax(operation.targetVersion);
    case 'learnerChange':
      return (operation.to?.peerUrls ?? []).reduce((sum, url) => sum + textBytesMax(url), 2 * 8 + 1 + numberBytesMax);
    case 'userAdd':
    case 'userChangePassword':
      return 1 + textBytesMax(operation.name) + textBytesMax(operation.passwordHash ?? '');
    case 'userDelete':
    case 'roleAdd':
    case 'roleDelete':
      return textBytesMax(operation.name);
    case 'userGrantRole':
    case 'userRevokeRole':
      return textBytesMax(operation.name) + textBytesMax(operation.role);
    case 'roleGrantPermission': {
      const { permission } = operation;
      const range = permission === null ? 0 : permission.key.byteLength + permission.rangeEnd.byteLength;
      return textBytesMax(operation.role) + 1 + 8 + 2 * numberBytesMax + range;
    }
    case 'roleRevokePermission': {
      const { key, rangeEnd } = operation.range;
      return textBytesMax(operation.role) + 2 * numberBytesMax + key.byteLength + rangeEnd.byteLength;
    }
    case 'alarmActivate':
    case 'alarmDeactivate':
      return 8 + 8;
    case 'rotateAccessKey':
      return textBytesMax(operation.id) + floatBytes + accessKeyBytes(operation.accessKey);
    case 'suspension':
      return 1;
    case 'terms':
      return numberBytesMax + operation.changes.length * (numberBytesMax + 1 + floatBytes);
    default:
      return unreachable(operation);
  }
}

export function writeAdministration(writer: BinaryWriter, operation: AdministrationOperation): void {
  switch (operation.kind) {
    case 'leaseGrant':
      writer.signed64(operation.id);
      writer.signed64(operation.candidate);
      writer.float(operation.ttlSeconds);
      return;
    case 'leaseRevoke':
      writer.signed64(operation.id);
      return;
    case 'leaseExpire':
      writeOverdue(writer, operation.leases, namesDeadlines(operation));
      return;
    case 'leaseCheckpoint':
      writer.boolean(operation.settled);
      writer.varint(operation.deadlines.length);
      for (const { id, deadlineMs } of operation.deadlines) {
        writer.signed64(id);
        writer.float(deadlineMs);
      }
      return;
    case 'authEnable':
    case 'authDisable':
    case 'downgradeCancel':
      return;
    case 'groupLevel':
      writer.varint(operation.level);
      return;
    case 'downgradeEnable':
      writer.text(operation.targetVersion);
      return;
    case 'learnerChange':
      writer.signed64(BigInt.asIntN(64, operation.from));
      writer.boolean(operation.to !== null);
      if (operation.to !== null) writeLearner(writer, operation.to);
      return;
    case 'userAdd':
      writer.text(operation.name);
      writer.boolean(operation.passwordHash !== null);
      if (operation.passwordHash !== null) writer.text(operation.passwordHash);
      return;
    case 'userChangePassword':
      writer.text(operation.name);
      writer.text(operation.passwordHash);
      return;
    case 'userDelete':
    case 'roleAdd':
    case 'roleDelete':
      writer.text(operation.name);
      return;
    case 'userGrantRole':
    case 'userRevokeRole':
      writer.text(operation.name);
      writer.text(operation.role);
      return;
    case 'roleGrantPermission':
      writer.text(operation.role);
      writer.boolean(operation.permission !== null);
      if (operation.permission === null) return;
      writer.float(operation.permission.type);
      writer.bytes(operation.permission.key);
      writer.bytes(operation.permission.rangeEnd);
      return;
    case 'roleRevokePermission':
      writer.text(operation.role);
      writer.bytes(operation.range.key);
      writer.bytes(operation.range.rangeEnd);
      return;
    case 'alarmActivate':
    case 'alarmDeactivate':
      writeAlarm(writer, operation.alarm);
      return;
    case 'rotateAccessKey':
      writer.text(operation.id);
      writer.float(operation.endsAtMs);
      if (hasMorePrefixes(operation.accessKey)) return writePrefixedAccessKey(writer, operation.accessKey);
      return writeNamedAccessKey(writer, operation.accessKey);
    case 'suspension':
      writer.boolean(operation.isSuspended);
      return;
    case 'terms':
      writer.varint(operation.changes.length);
      for (const { code, value } of operation.changes) {
        writer.varint(code);
        writer.boolean(value !== null);
        if (value !== null) writer.float(value);
      }
      return;
    default:
      unreachable(operation);
  }
}

function readRotation(reader: BinaryReader, read: (reader: BinaryReader) => AccessKey): AdministrationOperation {
  return { kind: 'rotateAccessKey', id: reader.text(), endsAtMs: reader.float(), accessKey: read(reader) };
}

export function readAdministration(reader: BinaryReader, code: number): AdministrationOperation {
  switch (code) {
    case administrationCode.leaseGrant:
      return {
        kind: 'leaseGrant',
        id: leaseId(reader.signed64()),
        candidate: leaseId(reader.signed64()),
        ttlSeconds: reader.float(),
      };
    case administrationCode.leaseRevoke:
      return { kind: 'leaseRevoke', id: leaseId(reader.signed64()) };
    case administrationCode.leaseExpire:
      return { kind: 'leaseExpire', leases: readOverdue(reader, false) };
    case leaseExpireStoredCode:
      return { kind: 'leaseExpire', leases: readOverdue(reader, true) };
    case administrationCode.groupLevel:
      return { kind: 'groupLevel', level: reader.varint() };
    case administrationCode.leaseCheckpoint: {
      const settled = reader.boolean();
      const read = () => ({ id: leaseId(reader.signed64()), deadlineMs: reader.float() });
      return { kind: 'leaseCheckpoint', settled, deadlines: Array.from({ length: reader.count() }, read) };
    }
    case administrationCode.alarmActivate:
      return { kind: 'alarmActivate', alarm: readAlarm(reader) };
    case administrationCode.alarmDeactivate:
      return { kind: 'alarmDeactivate', alarm: readAlarm(reader) };
    case administrationCode.downgradeEnable:
      return { kind: 'downgradeEnable', targetVersion: reader.text() };
    case administrationCode.downgradeCancel:
      return { kind: 'downgradeCancel' };
    case administrationCode.learnerChange: {
      const from = BigInt.asUintN(64, reader.signed64());
      return { kind: 'learnerChange', from, to: reader.boolean() ? readLearner(reader) : null };
    }
    case administrationCode.rotateAccessKey:
      return readRotation(reader, readNamedAccessKey);
    case rotatePrefixedCode:
      return readRotation(reader, readPrefixedAccessKey);
    case administrationCode.suspension:
      return { kind: 'suspension', isSuspended: reader.boolean() };
    case administrationCode.terms: {
      const read = () => ({ code: reader.varint(), value: reader.boolean() ? reader.float() : null });
      return { kind: 'terms', changes: Array.from({ length: reader.count() }, read) };
    }
    default:
      return readAuth(reader, code);
  }
}

function readAuth(reader: BinaryReader, code: number): AuthOperation {
  switch (code) {
    case administrationCode.authEnable:
      return { kind: 'authEnable' };
    case administrationCode.authDisable:
      return { kind: 'authDisable' };
    case administrationCode.userAdd:
      return { kind: 'userAdd', name: reader.text(), passwordHash: reader.boolean() ? reader.text() : null };
    case administrationCode.userDelete:
      return { kind: 'userDelete', name: reader.text() };
    case administrationCode.userChangePassword:
      return { kind: 'userChangePassword', name: reader.text(), passwordHash: reader.text() };
    case administrationCode.userGrantRole:
      return { kind: 'userGrantRole', name: reader.text(), role: reader.text() };
    case administrationCode.userRevokeRole:
      return { kind: 'userRevokeRole', name: reader.text(), role: reader.text() };
    case administrationCode.roleAdd:
      return { kind: 'roleAdd', name: reader.text() };
    case administrationCode.roleDelete:
      return { kind: 'roleDelete', name: reader.text() };
    case administrationCode.roleGrantPermission: {
      const role = reader.text();
      if (!reader.boolean()) return { kind: 'roleGrantPermission', role, permission: null };
      const permission = { type: reader.float(), key: reader.bytes(), rangeEnd: reader.bytes() };
      return { kind: 'roleGrantPermission', role, permission };
    }
    case administrationCode.roleRevokePermission:
      return {
        kind: 'roleRevokePermission',
        role: reader.text(),
        range: { key: reader.bytes(), rangeEnd: reader.bytes() },
      };
    default:
      throw new MalformedBytesError(`an operation of kind ${code}`);
  }
}

function writeOverdue(writer: BinaryWriter, leases: readonly OverdueLease[], withDeadlines: boolean): void {
  writer.varint(leases.length);
  for (const { id, storedMs } of leases) {
    writer.signed64(id);
    if (!withDeadlines) continue;
    writer.boolean(storedMs !== null);
    if (storedMs !== null) writer.float(storedMs);
  }
}

function readOverdue(reader: BinaryReader, withDeadlines: boolean): OverdueLease[] {
  const read = (): OverdueLease => {
    const id = leaseId(reader.signed64());
    return { id, storedMs: withDeadlines && reader.boolean() ? reader.float() : null };
  };
  return Array.from({ length: reader.count() }, read);
}

/** A member's number is unsigned. */
export function writeAlarm(writer: BinaryWriter, { memberId, alarm }: Alarm): void {
  writer.signed64(BigInt.asIntN(64, memberId));
  writer.float(alarm);
}

export function readAlarm(reader: BinaryReader): Alarm {
  return { memberId: BigInt.asUintN(64, reader.signed64()), alarm: reader.float() };
}
