// Alarms, which are pairs of a member's number and a kind, and what they forbid. They are few, and all are in memory.

import { unreachable } from '../base/assert.ts';
import { alarmsMax } from '../limits.ts';
import {
  type Alarm,
  type AlarmOperation,
  alarmKind,
  type Operation,
  type StoreFailure,
  type TxnRequest,
} from '../model/store.ts';
import type { SqlPort } from '../base/sql-port.ts';
import { isAdministration } from './codec/administration-codec.ts';
import { numberOf, textFrom } from './rows.ts';

const selectAlarms = 'SELECT member, alarm FROM alarms';
const insertAlarm = 'INSERT INTO alarms (member, alarm) VALUES (?, ?)';
const deleteAlarm = 'DELETE FROM alarms WHERE member = ? AND alarm = ?';

export type AlarmResult =
  | { readonly kind: 'done'; readonly alarms: readonly Alarm[] }
  | { readonly kind: 'failed'; readonly failure: StoreFailure };

export class Alarms {
  readonly #sql: SqlPort;
  #active: readonly Alarm[];

  constructor(sql: SqlPort) {
    this.#sql = sql;
    this.#active = sql
      .all(selectAlarms)
      .map(([member, alarm]) => ({ memberId: BigInt(textFrom(member)), alarm: numberOf(alarm) }))
      .toSorted(inOrder);
  }

  get active(): boolean {
    return this.#active.length > 0;
  }

  /** The alarms of every kind if `alarm` is 0. They are ordered by members, then by kinds. */
  list(alarm: number): readonly Alarm[] {
    return alarm === alarmKind.none ? this.#active : this.#active.filter((each) => each.alarm === alarm);
  }

  change({ kind, alarm }: AlarmOperation): AlarmResult {
    return kind === 'alarmActivate' ? this.#activate(alarm) : this.#deactivate(alarm);
  }

  #activate(alarm: Alarm): AlarmResult {
    if (alarm.alarm === alarmKind.none) return { kind: 'done', alarms: [] };
    if (this.#active.some((each) => isSame(each, alarm))) return { kind: 'done', alarms: [alarm] };
    if (this.#active.length >= alarmsMax) {
      return { kind: 'failed', failure: { kind: 'tooMany', what: 'alarms', max: alarmsMax } };
    }
    this.#sql.run(insertAlarm, String(alarm.memberId), alarm.alarm);
    this.#active = [...this.#active, { memberId: alarm.memberId, alarm: alarm.alarm }].toSorted(inOrder);
    return { kind: 'done', alarms: [alarm] };
  }

  #deactivate(alarm: Alarm): AlarmResult {
    const left = this.#active.filter((each) => !isSame(each, alarm));
    if (left.length === this.#active.length) return { kind: 'done', alarms: [] };
    this.#sql.run(deleteAlarm, String(alarm.memberId), alarm.alarm);
    this.#active = left;
    return { kind: 'done', alarms: [alarm] };
  }

  /** Null: no alarm forbids it. */
  refusal(operation: Operation): StoreFailure | null {
    if (!this.active) return null;
    if (this.#isActive(alarmKind.corrupt) && writesKeysOrLeases(operation)) return { kind: 'corruptAlarm' };
    if (this.#isActive(alarmKind.noSpace) && takesSpace(operation)) return { kind: 'noSpace' };
    return null;
  }

  #isActive(kind: number): boolean {
    return this.#active.some((each) => each.alarm === kind);
  }
}

function isSame(one: Alarm, other: Alarm): boolean {
  return one.memberId === other.memberId && one.alarm === other.alarm;
}

function inOrder(left: Alarm, right: Alarm): number {
  if (left.memberId !== right.memberId) return left.memberId < right.memberId ? -1 : 1;
  return left.alarm - right.alarm;
}

/** This goes by the shape of a transaction: one that has anything but ranges counts, whatever it would do. */
function writesKeysOrLeases(operation: Operation): boolean {
  if (isAdministration(operation)) {
    return operation.kind === 'leaseGrant' || operation.kind === 'leaseRevoke' || operation.kind === 'leaseExpire';
  }
  switch (operation.kind) {
    case 'put':
    case 'deleteRange':
    case 'compact':
      return true;
    case 'txn':
      return [...operation.request.success, ...operation.request.failure].some((part) => part.kind !== 'range');
    case 'createAccessKey':
    case 'revokeAccessKey':
      return false;
    default:
      return unreachable(operation);
  }
}

function takesSpace(operation: Operation): boolean {
  if (operation.kind === 'put' || operation.kind === 'leaseGrant') return true;
  return operation.kind === 'txn' && puts(operation.request);
}

/** In any branch, whether or not it runs. */
function puts(request: TxnRequest): boolean {
  return [...request.success, ...request.failure].some(
    (part) => part.kind === 'put' || (part.kind === 'txn' && puts(part.request)),
  );
}
