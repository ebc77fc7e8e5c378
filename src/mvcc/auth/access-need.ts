// The permissions that a request needs, as a pure function of the request.

import { unreachable } from '../../base/assert.ts';
import { emptyBytes } from '../../base/bytes.ts';
import { type LeaseId, noLease } from '../../model/brands.ts';
import type {
  DeleteRangeRequest,
  KeyRange,
  Operation,
  PutRequest,
  TxnOperation,
  TxnRequest,
} from '../../model/store.ts';
import type { Query } from '../../model/queries.ts';
import { type AdministrationOperation, isAdministration } from '../codec/administration-codec.ts';

/** For an access key, the right to write includes the right to read. The permissions of a user name each by itself. */
export type AccessNeed =
  /** Anybody who can name the tenant; tokens are not looked at. */
  | { readonly kind: 'anyone' }
  /** While auth is on, any user. `role`: the least role that the access key must have. */
  | { readonly kind: 'anyUser'; readonly role: 'read' | 'write' }
  /** Every one of the ranges, to read or to write. If there is none, every caller may whose token is not wrong. */
  | { readonly kind: 'keys'; readonly reads: readonly KeyRange[]; readonly writes: readonly KeyRange[] }
  /** All keys that are attached to these leases. While auth is on, the caller must be a user. */
  | { readonly kind: 'leases'; readonly ids: readonly LeaseId[] | 'all'; readonly right: 'read' | 'write' }
  /** The user itself, a user who has the role, or the root. */
  | { readonly kind: 'ownUser'; readonly name: string }
  | { readonly kind: 'ownRole'; readonly role: string }
  /** An admin key. While auth is on, the root. */
  | { readonly kind: 'admin' }
  /** The service itself, and no client. */
  | { readonly kind: 'service' }
  /** All of these needs. The first one that is missing is told. */
  | { readonly kind: 'every'; readonly needs: readonly AccessNeed[] };

/** The need of a range request or a watch. */
export function accessOfRange(range: KeyRange): AccessNeed {
  return { kind: 'keys', reads: [range], writes: [] };
}

export function accessOfOperation(operation: Operation): AccessNeed {
  if (isAdministration(operation)) return accessOfAdministration(operation);
  switch (operation.kind) {
    case 'put':
      return accessOfPut(operation.request);
    case 'deleteRange':
      return accessOfDelete(operation.request);
    case 'txn':
      return accessOfTxn(operation.request);
    case 'compact':
    case 'createAccessKey':
    case 'revokeAccessKey':
      return { kind: 'admin' };
    default:
      return unreachable(operation);
  }
}

/** Whoever attaches a key to a lease may let the lease end, and its other keys with it. */
function accessOfPut(request: PutRequest): AccessNeed {
  const range = [{ key: request.key, rangeEnd: emptyBytes }];
  const keys: AccessNeed = { kind: 'keys', reads: request.previous ? range : [], writes: range };
  if (request.lease === noLease) return keys;
  return { kind: 'every', needs: [keys, { kind: 'leases', ids: [request.lease], right: 'write' }] };
}

function accessOfDelete(request: DeleteRangeRequest): AccessNeed {
  return { kind: 'keys', reads: request.previous ? [request] : [], writes: [request] };
}

function accessOfAdministration(operation: AdministrationOperation): AccessNeed {
  if (operation.kind === 'leaseGrant') return { kind: 'anyUser', role: 'write' };
  if (operation.kind === 'leaseRevoke') return { kind: 'leases', ids: [operation.id], right: 'write' };
  const isOfService = ['leaseExpire', 'leaseCheckpoint', 'groupLevel', 'suspension', 'terms'].includes(operation.kind);
  return { kind: isOfService ? 'service' : 'admin' };
}

export function accessOfQuery(query: Query): AccessNeed {
  switch (query.kind) {
    case 'timeToLive': {
      const some: AccessNeed = { kind: 'anyUser', role: 'read' };
      return query.keys ? { kind: 'leases', ids: [query.id], right: 'read' } : some;
    }
    case 'leases':
      return { kind: 'leases', ids: 'all', right: 'read' };
    case 'keepAlive':
      return { kind: 'leases', ids: [query.id], right: 'write' };
    case 'authStatus':
      return { kind: 'keys', reads: [], writes: [] };
    case 'userGet':
      return { kind: 'ownUser', name: query.name };
    case 'roleGet':
      return { kind: 'ownRole', role: query.role };
    case 'alarms':
    case 'storeStatus':
    case 'announcedLearner':
      return { kind: 'anyUser', role: 'read' };
    case 'userList':
    case 'roleList':
    case 'hash':
    case 'hashKv':
      return { kind: 'admin' };
    case 'credential':
      return { kind: 'service' };
    default:
      return unreachable(query);
  }
}

type Gathered = { readonly reads: KeyRange[]; readonly writes: KeyRange[]; readonly leases: Set<LeaseId> };

function accessOfTxn(request: TxnRequest): AccessNeed {
  const gathered: Gathered = { reads: [], writes: [], leases: new Set() };
  gatherTxn(request, gathered);
  const keys: AccessNeed = { kind: 'keys', reads: gathered.reads, writes: gathered.writes };
  if (gathered.leases.size === 0) return keys;
  return { kind: 'every', needs: [keys, { kind: 'leases', ids: [...gathered.leases], right: 'write' }] };
}

/** Both branches count, whichever would run: otherwise an answer would tell of keys that the caller may not read. */
function gatherTxn(request: TxnRequest, gathered: Gathered): void {
  // They are added one by one: as the arguments of one call, a hundred thousand do not fit the stack.
  for (const compare of request.compare) gathered.reads.push(compare);
  for (const branch of [request.success, request.failure]) {
    for (const operation of branch) gatherPart(operation, gathered);
  }
}

function gatherPart(operation: TxnOperation, gathered: Gathered): void {
  const { reads, writes, leases } = gathered;
  switch (operation.kind) {
    case 'range':
      reads.push(operation.request);
      return;
    case 'put': {
      const range = { key: operation.request.key, rangeEnd: emptyBytes };
      writes.push(range);
      if (operation.request.previous) reads.push(range);
      if (operation.request.lease !== noLease) leases.add(operation.request.lease);
      return;
    }
    case 'deleteRange':
      writes.push(operation.request);
      if (operation.request.previous) reads.push(operation.request);
      return;
    case 'txn':
      return gatherTxn(operation.request, gathered);
    case 'empty':
      return;
    default:
      unreachable(operation);
  }
}
