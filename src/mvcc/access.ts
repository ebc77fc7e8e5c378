// Who may do what. Keys of the tenant are rows, all of them held in memory; what a request needs is a pure function of it.

import { accessKeysMax } from '../limits.ts';
import type { AccessKey, AccessRole, Caller, KeyRange, Operation, StoreFailure, TxnRequest } from '../model.ts';
import type { SqlPort, SqlRow, SqlValue } from '../sql-port.ts';
import { assert, unreachable } from '../assert.ts';
import { emptyBytes } from '../bytes.ts';
import { isAdministration } from './administration-codec.ts';
import { prefixHolds } from './key-range.ts';
import { bytesOf, numberOf, textFrom } from './rows.ts';

/** `keys`: every one of the ranges, to read or to write. A role that writes reads too. */
export type AccessNeed =
  | { readonly kind: 'keys'; readonly reads: readonly KeyRange[]; readonly writes: readonly KeyRange[] }
  | { readonly kind: 'admin' };

/** Of a range request or a watch. */
export function accessOfRange(range: KeyRange): AccessNeed {
  return { kind: 'keys', reads: [range], writes: [] };
}

export function accessOfOperation(operation: Operation): AccessNeed {
  if (isAdministration(operation)) return { kind: 'admin' };
  switch (operation.kind) {
    case 'put':
      return { kind: 'keys', reads: [], writes: [oneKey(operation.request.key)] };
    case 'deleteRange':
      return { kind: 'keys', reads: [], writes: [operation.request] };
    case 'txn': {
      const reads: KeyRange[] = [];
      const writes: KeyRange[] = [];
      gatherTxn(operation.request, reads, writes);
      return { kind: 'keys', reads, writes };
    }
    case 'compact':
    case 'createAccessKey':
    case 'revokeAccessKey':
      return { kind: 'admin' };
    default:
      return unreachable(operation);
  }
}

/** Both branches count, whichever would be taken: else an answer would tell of keys that may not be read. */
function gatherTxn(request: TxnRequest, reads: KeyRange[], writes: KeyRange[]): void {
  reads.push(...request.compare);
  for (const branch of [request.success, request.failure]) {
    for (const operation of branch) {
      if (operation.kind === 'range') reads.push(operation.request);
      else if (operation.kind === 'put') writes.push(oneKey(operation.request.key));
      else if (operation.kind === 'deleteRange') writes.push(operation.request);
      else if (operation.kind === 'txn') gatherTxn(operation.request, reads, writes);
    }
  }
}

function oneKey(key: Uint8Array): KeyRange {
  return { key, rangeEnd: emptyBytes };
}

type Held = { readonly accessKey: AccessKey; readonly revoked: boolean };

const selectKeys = 'SELECT id, role, prefix, expires_at, created_at, state FROM access_keys ORDER BY created_at, id';
const insertKey = 'INSERT INTO access_keys (id, role, prefix, expires_at, created_at, state) VALUES (?, ?, ?, ?, ?, 0)';
const revokeKey = 'UPDATE access_keys SET state = 1 WHERE id = ?';
const deleteKey = 'DELETE FROM access_keys WHERE id = ?';

export class AccessKeys {
  readonly #sql: SqlPort;
  readonly #held: Map<string, Held>;

  constructor(sql: SqlPort) {
    this.#sql = sql;
    this.#held = new Map(sql.all(selectKeys).map((row) => [textFrom(row[0]), heldOf(row)]));
  }

  /** Those that are not revoked, also expired ones, the oldest first. */
  list(): AccessKey[] {
    const keys: AccessKey[] = [];
    for (const { accessKey, revoked } of this.#held.values()) if (!revoked) keys.push(accessKey);
    return keys.toSorted(byAge);
  }

  /** null: allowed. */
  authorize(caller: Caller, need: AccessNeed, nowMs: number): StoreFailure | null {
    if (caller.kind === 'service') return null;
    const held = this.#held.get(caller.id);
    if (held === undefined) return { kind: 'unauthenticated', reason: 'unknown' };
    if (held.revoked) return { kind: 'unauthenticated', reason: 'revoked' };
    if (isExpired(held.accessKey, nowMs)) return { kind: 'unauthenticated', reason: 'expired' };
    const missing = missingRight(held.accessKey, need);
    return missing === null ? null : { kind: 'forbidden', need: missing };
  }

  /** null: created. */
  create(accessKey: AccessKey, nowMs: number): StoreFailure | null {
    if (this.#held.has(accessKey.id)) return { kind: 'accessKeyExists' };
    const dead = [...this.#held.values()].filter((held) => isDead(held, nowMs));
    if (this.#held.size - dead.length >= accessKeysMax) return { kind: 'tooManyAccessKeys', max: accessKeysMax };
    this.#forget(dead);
    const { id, role, prefix, expiresAtMs, createdAtMs } = accessKey;
    this.#sql.run(insertKey, id, role, prefix, expiresAtMs, createdAtMs);
    this.#held.set(id, { accessKey: { id, role, prefix: prefix.slice(), expiresAtMs, createdAtMs }, revoked: false });
    return null;
  }

  /** False: there is no such key, or it is revoked already. */
  revoke(id: string): boolean {
    const held = this.#held.get(id);
    if (held === undefined || held.revoked) return false;
    this.#sql.run(revokeKey, id);
    this.#held.set(id, { accessKey: held.accessKey, revoked: true });
    return true;
  }

  /** Dead keys are kept to say why they are refused, the oldest of too many not: those are then unknown, and refused too. */
  #forget(dead: readonly Held[]): void {
    const surplus = dead.length - accessKeysMax;
    if (surplus <= 0) return;
    const oldestFirst = dead.toSorted((left, right) => byAge(left.accessKey, right.accessKey));
    for (const { accessKey } of oldestFirst.slice(0, surplus)) {
      this.#sql.run(deleteKey, accessKey.id);
      this.#held.delete(accessKey.id);
    }
  }
}

function isExpired(accessKey: AccessKey, nowMs: number): boolean {
  return accessKey.expiresAtMs !== null && nowMs >= accessKey.expiresAtMs;
}

function isDead(held: Held, nowMs: number): boolean {
  return held.revoked || isExpired(held.accessKey, nowMs);
}

function byAge(left: AccessKey, right: AccessKey): number {
  if (left.createdAtMs !== right.createdAtMs) return left.createdAtMs - right.createdAtMs;
  return left.id < right.id ? -1 : 1;
}

/** The first right that the key lacks, in words; null where it lacks none. */
function missingRight(accessKey: AccessKey, need: AccessNeed): string | null {
  if (need.kind === 'admin') return accessKey.role === 'admin' ? null : 'admin';
  if (accessKey.role === 'admin') return null;
  if (accessKey.role === 'read' && need.writes.length > 0) return 'write';
  for (const range of need.reads) if (!prefixHolds(accessKey.prefix, range)) return 'read outside of its prefix';
  for (const range of need.writes) if (!prefixHolds(accessKey.prefix, range)) return 'write outside of its prefix';
  return null;
}

function heldOf(row: SqlRow): Held {
  const [id, role, prefix, expiresAt, createdAt, state] = row;
  const accessKey: AccessKey = {
    id: textFrom(id),
    role: roleOf(role),
    prefix: prefix === null ? emptyBytes : bytesOf(prefix),
    expiresAtMs: expiresAt === null ? null : numberOf(expiresAt),
    createdAtMs: numberOf(createdAt),
  };
  return { accessKey, revoked: numberOf(state) === 1 };
}

function roleOf(value: SqlValue | undefined): AccessRole {
  assert(value === 'admin' || value === 'write' || value === 'read', 'a role from the database');
  return value;
}
