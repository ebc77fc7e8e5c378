// Leases and the keys attached to them, as rows. Whether a lease has ended is not decided here: the leader notices
// that, and a command says so. Only the number of leases is in memory.

import { type LeaseId, leaseId, noLease } from '../model/brands.ts';
import { assert } from '../base/assert.ts';
import { compareBytes, emptyBytes } from '../base/bytes.ts';
import { leaseSecondsMax, leaseSecondsMin, leasesMax, readSliceRows } from '../limits.ts';
import type { LeaseDeadline, LeaseOperation, StoreFailure } from '../model/store.ts';
import type { SqlPort, SqlRow } from '../base/sql-port.ts';
import { leaseNow, type Overlay } from './overlay/overlay.ts';
import type { Versions } from './overlay/versions.ts';
import { keyAfter } from './revision-writer.ts';
import { bytesOf, numberOf, textFrom } from './rows.ts';
import { readMeta, writeMeta } from './schema.ts';

/**
 * `deadlineMs`: the deadline at the grant, or at the last checkpoint, as far as the log tells, in milliseconds since
 * 1970.
 */
export type StoredLease = { readonly id: LeaseId; readonly ttlSeconds: number; readonly deadlineMs: number };

export type LeaseChange =
  | ({ readonly kind: 'granted' } & StoredLease)
  | { readonly kind: 'ended'; readonly id: LeaseId };

type Grant = Extract<LeaseOperation, { readonly kind: 'leaseGrant' }>;
export type GrantResult =
  | ({ readonly kind: 'granted' } & StoredLease)
  | { readonly kind: 'failed'; readonly failure: StoreFailure };

const candidateMax = BigInt(Number.MAX_SAFE_INTEGER);

const selectLease = 'SELECT ttl, deadline FROM leases WHERE id = ?';
const selectAfter = 'SELECT id, ttl, deadline FROM leases WHERE id > ? ORDER BY id LIMIT ?';
const countLeases = 'SELECT COUNT(*) FROM leases';
const selectEarliest = 'SELECT MIN(deadline) FROM leases';
const insertLease = 'INSERT INTO leases (id, ttl, deadline) VALUES (?, ?, ?)';
const deleteLease = 'DELETE FROM leases WHERE id = ?';
const updateDeadline = 'UPDATE leases SET deadline = ?1 WHERE id = ?2 AND deadline <> ?1';
const selectIdsAfter = 'SELECT id FROM leases WHERE id > ? ORDER BY id LIMIT ?';
const selectKeysAfter = 'SELECT key FROM lease_keys WHERE lease = ? AND key > ? ORDER BY key LIMIT ?';
const selectFirstKey = 'SELECT key FROM lease_keys WHERE lease = ? AND key >= ? ORDER BY key LIMIT 1';
const selectIdsWithKeys = 'SELECT DISTINCT lease FROM lease_keys';

export class Leases {
  readonly #sql: SqlPort;
  /** Keys whose lease changed since the last flush are not in `lease_keys` as they are now. */
  readonly #overlay: Overlay;
  #settled: boolean;
  /** The number is counted when it is first asked for, and kept up to date from then on. */
  #count: number | null = null;

  constructor({ sql, overlay }: Versions) {
    this.#sql = sql;
    this.#overlay = overlay;
    this.#settled = readMeta(sql, 'leasesSettled') === 1;
  }

  /** True: no lease has a later deadline in its leader's memory than in its row. */
  get settled(): boolean {
    return this.#settled;
  }

  get count(): number {
    this.#count ??= numberOf(this.#sql.all(countLeases)[0]?.[0]);
    return this.#count;
  }

  find(id: LeaseId): StoredLease | null {
    if (id === noLease) return null;
    const row = this.#sql.all(selectLease, String(id))[0];
    return row === undefined ? null : { id, ttlSeconds: numberOf(row[0]), deadlineMs: numberOf(row[1]) };
  }

  /** The next leases after that one, in the order of their ids as text. Null: from the first one on. */
  after(id: LeaseId | null, max: number): readonly StoredLease[] {
    return this.#sql.all(selectAfter, id === null ? '' : String(id), max).map(([next, ttl, deadline]) => ({
      id: leaseId(BigInt(textFrom(next))),
      ttlSeconds: numberOf(ttl),
      deadlineMs: numberOf(deadline),
    }));
  }

  /** Goes in steps, between which leases come and go. A lease that exists all the while is told once. */
  *idsInSteps(): Generator<void, readonly LeaseId[], void> {
    const ids: LeaseId[] = [];
    for (let after = ''; ;) {
      const rows = this.#sql.all(selectIdsAfter, after, readSliceRows);
      for (const [id] of rows) {
        after = textFrom(id);
        ids.push(leaseId(BigInt(after)));
      }
      if (rows.length < readSliceRows) return ids;
      yield;
    }
  }

  /** Null: there is no such lease. */
  earliestDeadlineMs(): number | null {
    const earliest = this.#sql.all(selectEarliest)[0]?.[0] ?? null;
    return earliest === null ? null : numberOf(earliest);
  }

  /** The first key of the lease from a key on. Null: there is none. */
  firstKeyFrom(id: LeaseId, from: Uint8Array): Uint8Array | null {
    let first = this.#firstKeyInTables(id, from);
    if (!this.#overlay.someMoved) return first;
    while (first !== null && this.#hasLeft(id, first)) first = this.#firstKeyInTables(id, keyAfter(first));
    const come = this.#keysThatCame(id).find((key) => compareBytes(key, from) >= 0);
    return come !== undefined && (first === null || compareBytes(come, first) < 0) ? come : first;
  }

  #firstKeyInTables(id: LeaseId, from: Uint8Array): Uint8Array | null {
    const key = this.#sql.all(selectFirstKey, String(id), from)[0]?.[0];
    return key === undefined ? null : bytesOf(key);
  }

  /** Whether a key that `lease_keys` attaches to the lease is not attached to it any more. */
  #hasLeft(id: LeaseId, key: Uint8Array): boolean {
    const overlaid = this.#overlay.find(key);
    return overlaid !== null && leaseNow(overlaid) !== id;
  }

  /** The keys that were attached to the lease since the last flush, in their order. */
  #keysThatCame(id: LeaseId): readonly Uint8Array[] {
    return this.#overlay.movedKeys().flatMap((overlaid) => (leaseNow(overlaid) === id ? [overlaid.key] : []));
  }

  /** The same in steps, like `idsInSteps`, for as long as `take` wants more. */
  *eachKeyOf(id: LeaseId, take: (key: Uint8Array) => boolean): Generator<void, void, void> {
    for (let after: Uint8Array = emptyBytes; ;) {
      const rows = this.#sql.all(selectKeysAfter, String(id), after, readSliceRows);
      const last = rows.length < readSliceRows ? null : bytesOf(rows.at(-1)?.[0]);
      for (const key of this.#keysBetween(id, rows, { after, last })) if (!take(key)) return;
      if (last === null) return;
      after = last;
      yield;
    }
  }

  /** The keys of these rows that are attached still, and those that came between them. `last` null: there is no end. */
  #keysBetween(
    id: LeaseId,
    rows: readonly SqlRow[],
    { after, last }: { readonly after: Uint8Array; readonly last: Uint8Array | null },
  ): readonly Uint8Array[] {
    const keys = rows.map(([key]) => bytesOf(key));
    if (!this.#overlay.someMoved) return keys;
    const came = this.#keysThatCame(id).filter(
      (key) => compareBytes(key, after) > 0 && (last === null || compareBytes(key, last) <= 0),
    );
    return [...keys.filter((key) => !this.#hasLeft(id, key)), ...came].sort(compareBytes);
  }

  /**
   * The leases that have keys, in no particular order, some of them twice, and some that had keys at the last flush.
   * Nothing may be written while they are read.
   */
  *idsWithKeys(): Generator<LeaseId, void, void> {
    for (const overlaid of this.#overlay.movedKeys()) if (leaseNow(overlaid) !== noLease) yield leaseNow(overlaid);
    for (const [id] of this.#sql.iterate(selectIdsWithKeys)) yield leaseId(BigInt(textFrom(id)));
  }

  /** Why no further lease may be granted. `max`: the operator's bound; null: there is none but that of every store. */
  boundRefusal(max: number | null): StoreFailure | null {
    const most = Math.min(max ?? leasesMax, leasesMax);
    return this.count < most ? null : { kind: 'tooMany', what: 'leases', max: most };
  }

  grant(operation: Grant, { atMs, max }: { readonly atMs: number; readonly max: number | null }): GrantResult {
    if (operation.ttlSeconds > leaseSecondsMax) return { kind: 'failed', failure: { kind: 'leaseTtlTooLarge' } };
    const id = operation.id === noLease ? this.#free(operation.candidate) : operation.id;
    if (this.find(id) !== null) return { kind: 'failed', failure: { kind: 'leaseExists' } };
    const refusal = this.boundRefusal(max);
    if (refusal !== null) return { kind: 'failed', failure: refusal };
    const ttlSeconds = Math.max(Math.trunc(operation.ttlSeconds), leaseSecondsMin);
    const deadlineMs = atMs + ttlSeconds * 1_000;
    this.#sql.run(insertLease, String(id), ttlSeconds, deadlineMs);
    this.#count = this.count + 1;
    this.#settle(false);
    return { kind: 'granted', id, ttlSeconds, deadlineMs };
  }

  /** The keys of the lease were deleted before. */
  remove(id: LeaseId): void {
    this.#count = this.count - 1;
    this.#sql.run(deleteLease, String(id));
  }

  checkpoint(deadlines: readonly LeaseDeadline[], settled: boolean): void {
    for (const { id, deadlineMs } of deadlines) this.#sql.run(updateDeadline, deadlineMs, String(id));
    this.#settle(settled);
  }

  #settle(settled: boolean): void {
    if (settled === this.#settled) return;
    writeMeta(this.#sql, 'leasesSettled', settled ? 1 : 0);
    this.#settled = settled;
  }

  /** The candidate, or the next number that no lease has. */
  #free(candidate: LeaseId): LeaseId {
    assert(candidate > 0n && candidate <= candidateMax, 'a candidate is a number from 1 to 2^53 - 1');
    let id = candidate;
    while (this.find(id) !== null) id = leaseId(id === candidateMax ? 1n : id + 1n);
    return id;
  }
}
