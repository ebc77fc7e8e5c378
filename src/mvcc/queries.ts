// Answers what can be read beside keys. The permission of the caller was checked before.

import { unreachable } from '../base/assert.ts';
import type { LeaseId } from '../model/brands.ts';
import { quotaBytesDefault, rangeAnswerBytesMax } from '../limits.ts';
import type { StoreFailure } from '../model/store.ts';
import type { AnswerTo, Query, QueryAnswer } from '../model/queries.ts';
import type { SqlPort } from '../base/sql-port.ts';
import type { Alarms } from './alarms.ts';
import { type AuthTables } from './auth/auth-tables.ts';
import type { LearnerSlot } from './announced-learner.ts';
import type { Downgrade } from './downgrade.ts';
import { hashKv, hashOf } from './hash/hash.ts';
import type { Leases } from './leases.ts';
import type { Terms } from './terms.ts';
import { pairOverheadBytes } from './range.ts';

export type QueryView = {
  readonly sql: SqlPort;
  readonly current: number;
  readonly compacted: number;
  readonly leases: Leases;
  readonly auth: AuthTables;
  readonly alarms: Alarms;
  readonly downgrade: Downgrade;
  readonly learnerSlot: LearnerSlot;
  readonly terms: Terms;
};

export type Answered =
  | { readonly kind: 'answer'; readonly answer: QueryAnswer }
  | { readonly kind: 'failed'; readonly failure: StoreFailure };

/**
 * Goes in steps if it reads very much. Between two steps anything may be written, and rows that are not held may be
 * swept.
 */
export function* answerQuery(query: Query, view: QueryView): Generator<void, Answered, void> {
  switch (query.kind) {
    case 'timeToLive':
      return yield* timeToLive(query.id, query.keys, view);
    case 'leases':
      return answered({ kind: 'leases', ids: yield* view.leases.idsInSteps() });
    case 'keepAlive': {
      const ttlSeconds = view.leases.find(query.id)?.ttlSeconds ?? null;
      return answered({ kind: 'keepAlive', id: query.id, ttlSeconds });
    }
    case 'authStatus':
      return answered({ kind: 'authStatus', enabled: view.auth.enabled, authRevision: view.auth.revision });
    case 'userGet':
      if (view.auth.user(query.name) === null) return failed({ kind: 'userNotFound' });
      return answered({ kind: 'userGet', roles: view.auth.rolesOf(query.name) });
    case 'userList':
      return answered({ kind: 'userList', users: view.auth.users() });
    case 'roleGet':
      if (!view.auth.roleExists(query.role)) return failed({ kind: 'roleNotFound' });
      return answered({ kind: 'roleGet', permissions: view.auth.permissionsOf(query.role) });
    case 'roleList':
      return answered({ kind: 'roleList', roles: view.auth.roles() });
    case 'credential':
      return credential(query.name, view.auth);
    case 'alarms':
      return answered({ kind: 'alarms', alarms: view.alarms.list(query.alarm) });
    case 'hash':
      return answered({ kind: 'hash', hash: yield* hashOf(view.sql, view) });
    case 'hashKv': {
      const hashed = yield* hashKv(view.sql, query.revision, view);
      if (hashed.kind === 'failed') return hashed;
      const { hash, hashRevision, compactedRevision } = hashed;
      return answered({ kind: 'hashKv', hash, hashRevision, compactedRevision });
    }
    case 'storeStatus':
      return answered(storeStatus(view));
    case 'announcedLearner':
      return answered({ kind: 'announcedLearner', learner: view.learnerSlot.learner });
    default:
      return unreachable(query);
  }
}

function answered(answer: QueryAnswer): Answered {
  return { kind: 'answer', answer };
}

function failed(failure: StoreFailure): Answered {
  return { kind: 'failed', failure };
}

function* timeToLive(id: LeaseId, withKeys: boolean, { leases }: QueryView): Generator<void, Answered, void> {
  const lease = leases.find(id);
  if (lease === null) return answered({ kind: 'timeToLive', id, lease: null });
  const keys: Uint8Array[] = [];
  let left = rangeAnswerBytesMax;
  const take = (key: Uint8Array): boolean => {
    left -= key.byteLength + pairOverheadBytes;
    keys.push(key);
    return left >= 0;
  };
  if (withKeys) yield* leases.eachKeyOf(id, take);
  if (left < 0) return failed({ kind: 'answerTooLarge' });
  return answered({ kind: 'timeToLive', id, lease: { ttlSeconds: lease.ttlSeconds, keys } });
}

function credential(name: string, auth: AuthTables): Answered {
  if (!auth.enabled) return failed({ kind: 'authNotEnabled' });
  const user = auth.user(name);
  if (user === null) return failed({ kind: 'authenticationFailed' });
  if (user.passwordHash === null) return failed({ kind: 'userWithoutPassword' });
  return answered({ kind: 'credential', passwordHash: user.passwordHash, authRevision: auth.revision });
}

/** The database uses free pages before it grows, so what it takes is in use as far as anyone can tell. */
function storeStatus({ sql, alarms, downgrade, terms }: QueryView): AnswerTo<'storeStatus'> {
  const databaseBytes = sql.databaseBytes();
  return {
    kind: 'storeStatus',
    databaseBytes,
    databaseBytesInUse: databaseBytes,
    quotaBytes: terms.value('quotaBytes') ?? quotaBytesDefault,
    alarms: alarms.list(0),
    downgradeTarget: downgrade.target,
  };
}
