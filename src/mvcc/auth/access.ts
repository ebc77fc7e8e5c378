// The access keys of the tenant: rows, all of which are in memory. The rights of its access key bound a call; the
// permissions of etcd's users are checked beside them (`authority.ts`).

import { accessKeysMax } from '../../limits.ts';
import { groupLevel } from '../../model/levels.ts';
import type { AccessKey, AccessRole, StoreFailure } from '../../model/store.ts';
import type { SqlPort, SqlRow, SqlValue } from '../../base/sql-port.ts';
import { assert } from '../../base/assert.ts';
import { emptyBytes } from '../../base/bytes.ts';
import { decodePrefixes, encodePrefixes } from '../codec/access-key-codec.ts';
import { bytesOf, numberOf, textFrom } from '../rows.ts';

export { type AccessNeed, accessOfOperation, accessOfRange } from './access-need.ts';

export type FoundKey =
  | { readonly kind: 'good'; readonly accessKey: AccessKey }
  | { readonly kind: 'refused'; readonly failure: StoreFailure };

/** `rotated`: another key has taken the place of this one, which ends when it expires. */
type Held = { readonly accessKey: AccessKey; readonly revoked: boolean; readonly rotated: boolean };

const selectKeys = 'SELECT id, role, prefix, expires_at, created_at, state FROM access_keys ORDER BY created_at, id';
const insertKey = 'INSERT INTO access_keys (id, role, prefix, expires_at, created_at, state) VALUES (?, ?, ?, ?, ?, 0)';
const revokeKey = 'UPDATE access_keys SET state = 1 WHERE id = ?';
const rotateKey = 'UPDATE access_keys SET state = 2, expires_at = ? WHERE id = ?';
const selectNames = 'SELECT id, name FROM access_key_names';
const insertName = 'INSERT INTO access_key_names (id, name) VALUES (?, ?)';
const deleteName = 'DELETE FROM access_key_names WHERE id = ?';
const selectPrefixes = 'SELECT id, prefixes FROM access_key_prefixes';
const insertPrefixes = 'INSERT INTO access_key_prefixes (id, prefixes) VALUES (?, ?)';
const deletePrefixes = 'DELETE FROM access_key_prefixes WHERE id = ?';
const deleteKey = 'DELETE FROM access_keys WHERE id = ?';

export class AccessKeys {
  readonly #sql: SqlPort;
  readonly #held: Map<string, Held>;
  #hasNames: boolean;
  #hasPrefixes: boolean;

  constructor(sql: SqlPort, level: number) {
    this.#sql = sql;
    this.#hasNames = level >= groupLevel.fourth;
    const rows = this.#hasNames ? sql.all(selectNames) : [];
    const names = new Map(rows.map(([id, name]) => [textFrom(id), textFrom(name)]));
    this.#hasPrefixes = level >= groupLevel.sixth;
    const prefixRows = this.#hasPrefixes ? sql.all(selectPrefixes) : [];
    const prefixes = new Map(prefixRows.map(([id, more]) => [textFrom(id), decodePrefixes(bytesOf(more))]));
    this.#held = new Map(
      sql.all(selectKeys).map((row) => {
        const id = textFrom(row[0]);
        return [id, heldOf(row, names.get(id) ?? '', prefixes.get(id) ?? [])];
      }),
    );
  }

  /** Below level 4 no key has a name, and below level 6 none has several prefixes. */
  levelChanged(level: number): void {
    this.#hasNames = level >= groupLevel.fourth;
    this.#hasPrefixes = level >= groupLevel.sixth;
    for (const [id, held] of this.#held) {
      const { morePrefixes = [], ...accessKey } = held.accessKey;
      const name = this.#hasNames ? accessKey.name : '';
      this.#held.set(id, {
        ...held,
        accessKey: withMore({ ...accessKey, name }, this.#hasPrefixes ? morePrefixes : []),
      });
    }
  }

  /** The keys that are not revoked, expired ones included, the oldest first. */
  list(): AccessKey[] {
    const keys: AccessKey[] = [];
    for (const { accessKey, revoked } of this.#held.values()) if (!revoked) keys.push(accessKey);
    return keys.toSorted(byAge);
  }

  /** The key, if it is valid. */
  find(id: string, nowMs: number): FoundKey {
    const held = this.#held.get(id);
    if (held === undefined) return refusedKey('unknown');
    if (held.revoked) return refusedKey('revoked');
    if (isExpired(held.accessKey, nowMs)) return refusedKey('expired');
    return { kind: 'good', accessKey: held.accessKey };
  }

  /** Null: the key never expires, or there is no such key. */
  expiresAtMs(id: string): number | null {
    return this.#held.get(id)?.accessKey.expiresAtMs ?? null;
  }

  /**
   * Why no further key may be made. `max`: the operator's bound; null: there is none. A rotated key has given its place
   * to the one that it was rotated to.
   */
  boundRefusal(max: number | null, nowMs: number): StoreFailure | null {
    if (max === null || this.#held.size < max) return null;
    let count = 0;
    for (const held of this.#held.values()) if (!held.rotated && !isDead(held, nowMs)) count++;
    return count < max ? null : { kind: 'tooManyAccessKeys', max };
  }

  /** Null: the key was created. */
  create(accessKey: AccessKey, nowMs: number): StoreFailure | null {
    if (this.#held.has(accessKey.id)) return { kind: 'accessKeyExists' };
    const dead = [...this.#held.values()].filter((held) => isDead(held, nowMs));
    if (this.#held.size - dead.length >= accessKeysMax) return { kind: 'tooManyAccessKeys', max: accessKeysMax };
    this.#forget(dead);
    const { id, role, prefix, expiresAtMs, createdAtMs } = accessKey;
    const name = this.#hasNames ? accessKey.name : '';
    this.#sql.run(insertKey, id, role, prefix, expiresAtMs, createdAtMs);
    if (name !== '') this.#sql.run(insertName, id, name);
    const more = this.#hasPrefixes ? (accessKey.morePrefixes ?? []) : [];
    if (more.length > 0) this.#sql.run(insertPrefixes, id, encodePrefixes(more));
    const kept = { id, name, role, prefix: prefix.slice(), expiresAtMs, createdAtMs };
    this.#held.set(id, { accessKey: withMore(kept, more), revoked: false, rotated: false });
    return null;
  }

  /** Null: `accessKey` was created, and the key `id` ends at `endsAtMs`, or sooner. */
  rotate(
    rotation: { readonly id: string; readonly endsAtMs: number; readonly accessKey: AccessKey },
    nowMs: number,
  ): StoreFailure | null {
    const { id, endsAtMs, accessKey } = rotation;
    const held = this.#held.get(id);
    if (held === undefined || held.rotated || isDead(held, nowMs)) return { kind: 'accessKeyEnding' };
    const failure = this.create(accessKey, nowMs);
    if (failure !== null) return failure;
    const expiresAtMs = Math.min(held.accessKey.expiresAtMs ?? endsAtMs, endsAtMs);
    this.#sql.run(rotateKey, expiresAtMs, id);
    this.#held.set(id, { accessKey: { ...held.accessKey, expiresAtMs }, revoked: false, rotated: true });
    return null;
  }

  /** False: there is no such key, or it is revoked already. */
  revoke(id: string): boolean {
    const held = this.#held.get(id);
    if (held === undefined || held.revoked) return false;
    this.#sql.run(revokeKey, id);
    this.#held.set(id, { ...held, revoked: true });
    return true;
  }

  /**
   * Ended keys are kept to tell why they are refused. If there are too many, the oldest are not kept: they are then
   * unknown, and refused as well.
   */
  #forget(dead: readonly Held[]): void {
    const surplus = dead.length - accessKeysMax;
    if (surplus <= 0) return;
    const oldestFirst = dead.toSorted((left, right) => byAge(left.accessKey, right.accessKey));
    for (const { accessKey } of oldestFirst.slice(0, surplus)) {
      this.#sql.run(deleteKey, accessKey.id);
      if (accessKey.name !== '') this.#sql.run(deleteName, accessKey.id);
      if (accessKey.morePrefixes !== undefined) this.#sql.run(deletePrefixes, accessKey.id);
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

function refusedKey(reason: Extract<StoreFailure, { kind: 'unauthenticated' }>['reason']): FoundKey {
  return { kind: 'refused', failure: { kind: 'unauthenticated', reason } };
}

/** Copies, because they are views into the entry. */
function withMore(accessKey: AccessKey, more: readonly Uint8Array[]): AccessKey {
  return more.length === 0 ? accessKey : { ...accessKey, morePrefixes: more.map((each) => each.slice()) };
}

function heldOf(row: SqlRow, name: string, more: readonly Uint8Array[]): Held {
  const [id, role, prefix, expiresAt, createdAt, state] = row;
  const accessKey: AccessKey = {
    id: textFrom(id),
    name,
    role: roleOf(role),
    prefix: prefix === null ? emptyBytes : bytesOf(prefix),
    expiresAtMs: expiresAt === null ? null : numberOf(expiresAt),
    createdAtMs: numberOf(createdAt),
  };
  return { accessKey: withMore(accessKey, more), revoked: numberOf(state) === 1, rotated: numberOf(state) === 2 };
}

function roleOf(value: SqlValue | undefined): AccessRole {
  assert(value === 'admin' || value === 'write' || value === 'read', 'a role from the database');
  return value;
}
