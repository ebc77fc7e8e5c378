// What a store holds beside keys: leases, users, alarms and the rest, and how each command and each query concerns
// them. None of this makes a revision. The end of a lease may make one, and is the store's.

import { unreachable } from '../base/assert.ts';
import type { Revision } from '../model/brands.ts';
import type { AccessKey, Caller, Operation, Outcome, RangeRequest, SentCommand, StoreFailure } from '../model/store.ts';
import type { Query } from '../model/queries.ts';
import { groupLevel } from '../model/levels.ts';
import type { SqlPort } from '../base/sql-port.ts';
import { AccessKeys } from './auth/access.ts';
import { accessOfOperation, accessOfRange } from './auth/access-need.ts';
import { type AdministrationOperation, isAdministration } from './codec/administration-codec.ts';
import { Alarms } from './alarms.ts';
import { Bounds } from './bounds.ts';
import { LearnerSlot } from './announced-learner.ts';
import { AuthTables } from './auth/auth-tables.ts';
import { Authority } from './auth/authority.ts';
import { Downgrade } from './downgrade.ts';
import { type LeaseChange, Leases } from './leases.ts';
import type { Versions } from './overlay/versions.ts';
import { type Answered, answerQuery } from './queries.ts';
import { rangeShape } from './request-shape.ts';
import { Suspension } from './suspension.ts';
import { Terms } from './terms.ts';
import { operationShape } from './txn-shape.ts';

type AccessKeyOperation = Extract<Operation, { readonly kind: 'createAccessKey' | 'revokeAccessKey' }>;
/** All such operations except those that end leases, or that change how the store is written. */
export type QuietOperation =
  | Exclude<AdministrationOperation, { readonly kind: 'leaseRevoke' | 'leaseExpire' | 'groupLevel' }>
  | AccessKeyOperation;

export function isQuiet(operation: Operation): operation is QuietOperation {
  const { kind } = operation;
  if (kind === 'createAccessKey' || kind === 'revokeAccessKey') return true;
  return isAdministration(operation) && kind !== 'leaseRevoke' && kind !== 'leaseExpire' && kind !== 'groupLevel';
}

/** `isForGood`: no attempt of the write is ever done. */
export type WriteRefusal = { readonly failure: StoreFailure; readonly isForGood: boolean };

/** `leases`: the list to which granted leases are added. */
type Moment = {
  readonly atMs: number;
  readonly revision: Revision;
  readonly level: number;
  readonly leases: LeaseChange[];
};

export class Administration {
  readonly accessKeys: AccessKeys;
  readonly leases: Leases;
  readonly alarms: Alarms;
  readonly authority: Authority;
  readonly terms: Terms;
  readonly bounds: Bounds;
  readonly suspension: Suspension;
  readonly #sql: SqlPort;
  readonly #auth: AuthTables;
  readonly #downgrade: Downgrade;
  readonly #learnerSlot: LearnerSlot;

  constructor(versions: Versions, level: number) {
    const { sql } = versions;
    this.#sql = sql;
    this.accessKeys = new AccessKeys(sql, level);
    this.terms = new Terms(sql);
    this.bounds = new Bounds(this.terms, level);
    this.suspension = new Suspension(sql, level, this.terms);
    this.leases = new Leases(versions);
    this.alarms = new Alarms(sql);
    this.#auth = new AuthTables(sql);
    this.authority = new Authority(this.accessKeys, this.#auth, this.leases, this.suspension);
    this.#downgrade = new Downgrade(sql);
    this.#learnerSlot = new LearnerSlot(sql);
  }

  levelChanged(level: number): void {
    this.accessKeys.levelChanged(level);
    this.bounds.levelChanged(level);
    this.suspension.levelChanged(level);
  }

  get downgradeAnnounced(): boolean {
    return this.#downgrade.target !== null;
  }

  /**
   * Why the caller may not do this in a group of that level. The order is etcd's: the shape of a request, the token,
   * alarms, the permissions of the user's roles. What the access key forbids comes before all of them. Null: the caller
   * may do it.
   */
  refusal({ caller, operation, atMs }: SentCommand, level: number): StoreFailure | null {
    if (caller.kind === 'service') return null;
    const refusal = this.authority.refusal(caller, accessOfOperation(operation), atMs);
    if (refusal === null) return null;
    const { by, failure } = refusal;
    if (by === 'key') return failure;
    const shape = operationShape(operation, level);
    if (shape !== null || by === 'token') return shape ?? failure;
    // The permission for a compaction is checked before the compaction is proposed, and so before the alarms.
    if (operation.kind === 'compact') return failure;
    // For leases etcd first requires that there is a user at all.
    const isOfLease = operation.kind === 'leaseGrant' || operation.kind === 'leaseRevoke';
    if (isOfLease && failure.kind === 'userNameEmpty') return failure;
    return this.alarms.refusal(operation) ?? failure;
  }

  /**
   * Of a write that is refused, whether no attempt of it gets past that, whatever else changes, and whoever leads: what
   * its key may never do, and what is wrong with its shape. A txn of very many operations is refused at every level, by
   * each leader that knows level 3.
   */
  refusalOfWrite(command: SentCommand, level: number): WriteRefusal | null {
    const { caller, operation, atMs } = command;
    const failure = this.refusal(command, level);
    if (failure !== null) {
      const byKey = this.authority.keyRefusal(caller, accessOfOperation(operation), atMs);
      // The store tells what an access key may not do before it looks at the shape.
      if (byKey !== null) return byKey;
    }
    const shape = operationShape(operation, groupLevel.third);
    if (shape !== null) return { failure: shape, isForGood: true };
    return failure === null ? null : { failure, isForGood: false };
  }

  /** The same for a range request. */
  rangeRefusal(caller: Caller, request: RangeRequest, nowMs: number): StoreFailure | null {
    const refusal = this.authority.refusal(caller, accessOfRange(request), nowMs);
    if (refusal === null) return null;
    return refusal.by === 'key' ? refusal.failure : (rangeShape(request) ?? refusal.failure);
  }

  /**
   * Why a command that would make one more of something is refused at one of the bounds: as it would be if it were
   * applied now. Null: it may be applied.
   */
  boundRefusal({ operation, atMs }: SentCommand): StoreFailure | null {
    if (operation.kind === 'leaseGrant') return this.leases.boundRefusal(this.bounds.max('leasesMax'));
    if (operation.kind !== 'createAccessKey') return null;
    return this.accessKeys.boundRefusal(this.bounds.max('accessKeysMax'), atMs);
  }

  #createAccessKey(accessKey: AccessKey, atMs: number): StoreFailure | null {
    const refusal = this.accessKeys.boundRefusal(this.bounds.max('accessKeysMax'), atMs);
    return refusal ?? this.accessKeys.create(accessKey, atMs);
  }

  perform(operation: QuietOperation, moment: Moment): Outcome {
    const { revision, atMs } = moment;
    switch (operation.kind) {
      case 'leaseGrant': {
        const result = this.leases.grant(operation, { atMs, max: this.bounds.max('leasesMax') });
        if (result.kind === 'failed') return { kind: 'failed', revision, failure: result.failure };
        moment.leases.push(result);
        return { kind: 'leaseGrant', revision, id: result.id, ttlSeconds: result.ttlSeconds };
      }
      case 'leaseCheckpoint':
        this.leases.checkpoint(operation.deadlines, operation.settled);
        return { kind: 'done', revision };
      case 'alarmActivate':
      case 'alarmDeactivate': {
        const result = this.alarms.change(operation);
        if (result.kind === 'failed') return { kind: 'failed', revision, failure: result.failure };
        return { kind: 'alarm', revision, alarms: result.alarms };
      }
      case 'downgradeEnable':
      case 'downgradeCancel':
        return outcomeOf(this.#downgrade.change(operation), 'done', revision);
      case 'learnerChange':
        this.#learnerSlot.change(operation);
        return { kind: 'done', revision };
      case 'createAccessKey':
        return outcomeOf(this.#createAccessKey(operation.accessKey, atMs), 'createAccessKey', revision);
      case 'revokeAccessKey':
        return { kind: 'revokeAccessKey', revision, existed: this.accessKeys.revoke(operation.id) };
      case 'rotateAccessKey':
        return outcomeOf(this.accessKeys.rotate(operation, atMs), 'done', revision);
      case 'suspension':
        this.suspension.change(operation.isSuspended);
        return { kind: 'done', revision };
      case 'terms':
        this.terms.change(operation.changes, moment.level);
        return { kind: 'done', revision };
      case 'authEnable':
      case 'authDisable':
      case 'userAdd':
      case 'userDelete':
      case 'userChangePassword':
      case 'userGrantRole':
      case 'userRevokeRole':
      case 'roleAdd':
      case 'roleDelete':
      case 'roleGrantPermission':
      case 'roleRevokePermission':
        return outcomeOf(this.authority.change(operation, moment.level), 'done', revision);
      default:
        return unreachable(operation);
    }
  }

  answer(
    query: Query,
    at: { readonly current: Revision; readonly compacted: number },
  ): Generator<void, Answered, void> {
    return answerQuery(query, {
      ...at,
      sql: this.#sql,
      leases: this.leases,
      auth: this.#auth,
      alarms: this.alarms,
      downgrade: this.#downgrade,
      learnerSlot: this.#learnerSlot,
      terms: this.terms,
    });
  }
}

function outcomeOf(failure: StoreFailure | null, kind: 'createAccessKey' | 'done', revision: Revision): Outcome {
  return failure === null ? { kind, revision } : { kind: 'failed', revision, failure };
}
