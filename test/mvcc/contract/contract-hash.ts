// Rules of the store: the running hash over everything that it applied, by which replicas notice that they differ.

import { expect } from 'vitest';
import { logIndex } from '../../../src/model/brands.ts';
import {
  batchPartBytesMax,
  foundValueBytesMax,
  hashedValueBytesMax,
  previousKeptBytesMax,
  scrubbedRowsMax,
  scrubbedValueBytesMax,
} from '../../../src/limits.ts';
import type { Operation } from '../../../src/model/store.ts';
import { Store } from '../../../src/mvcc/store.ts';
import type { SqlRow } from '../../../src/base/sql-port.ts';
import { rule, type StoreRule } from './contract.ts';
import { everything, type Fed, grant, keyRange, put, putLeased, remove, service, toLevel, txn } from '../requests.ts';

const undone = new Error('undone');

/** The hashes after each of these entries if the database is altered before them. Nothing of this stays. */
function hashesIf(fed: Fed, edits: readonly string[], entries: readonly (readonly Operation[])[]): number[] {
  const hashes: number[] = [];
  try {
    fed.sql.transaction(() => {
      for (const edit of edits) fed.sql.run(edit);
      const store = new Store(fed.sql);
      for (const [nth, operations] of entries.entries()) {
        const commands = operations.map((operation, place) => {
          return { writeId: `then ${nth}/${place}`, caller: service, atMs: 1, operation };
        });
        store.apply(logIndex(fed.index + 1 + nth), commands);
        hashes.push(store.runningHash?.hash ?? -1);
      }
      throw undone;
    });
  } catch (error) {
    if (error !== undone) throw error;
  }
  return hashes;
}

/** Whether the hash of one entry shows the alteration. */
function isFound(fed: Fed, edit: string, operation: Operation): boolean {
  return hashesIf(fed, [edit], [[operation]])[0] !== hashesIf(fed, [], [[operation]])[0];
}

const keyOf = (n: number): string => `k/${String(n).padStart(4, '0')}`;
const ofKey = (key: string): string => `WHERE key = CAST('${key}' AS BLOB)`;

const otherValue = (n: number): string => `UPDATE head SET value = x'2d' ${ofKey(keyOf(n))}`;
const otherLarge = (key: string, value: string): string =>
  `UPDATE large_values SET bytes = CAST('${value}' AS BLOB) WHERE id = (SELECT large FROM head ${ofKey(key)})`;

function newestRow(fed: Fed): SqlRow | undefined {
  return fed.sql.all('SELECT log_index, hash FROM batches ORDER BY last_revision DESC, log_index DESC, part DESC')[0];
}

/** There is a row of each kind: with a lease, with a value in a row of its own, and with neither. */
const sixteen: readonly Operation[] = Array.from({ length: 16 }, (_, n) => {
  if (n % 4 === 1) return putLeased(keyOf(n), 1);
  if (n % 4 === 2) return put(keyOf(n), String(n).repeat(700));
  return n % 4 === 3 ? put(keyOf(n), '') : put(keyOf(n), `value ${n}`);
});

export const hashRules: readonly StoreRule[] = [
  rule('MVCC-HASH-3: level 2 has a running hash, that of the newest row, the same after every restart', (fed) => {
    fed.put('k');
    expect(fed.store.runningHash).toBeNull();
    const seen = new Set<number>();
    const entries: readonly Operation[] = [
      toLevel(2),
      put('k'),
      put('k'),
      remove('none'),
      txn({}),
      grant(1),
      toLevel(2),
    ];
    for (const operation of entries) {
      fed.do(operation);
      const running = fed.store.runningHash;
      const [index, hash] = newestRow(fed) ?? [];
      expect(running).toEqual({ index, hash });
      expect(index).toBe(fed.index);
      expect(Number.isInteger(hash) && Number(hash) >= 0 && Number(hash) < 2 ** 32).toBe(true);
      seen.add(Number(hash));
      fed.reopen();
      expect(fed.store.runningHash).toEqual(running);
    }
    expect(seen.size).toBe(entries.length);
    // These entries leave no row: one without commands, and one whose caller is unknown.
    const before = fed.store.runningHash;
    fed.store.skip(logIndex(++fed.index));
    fed.do(put('k'), { kind: 'accessKey', id: 'nobody' });
    expect([fed.store.appliedIndex, fed.store.runningHash]).toEqual([fed.index, before]);
    fed.do(toLevel(1));
    expect(fed.store.runningHash).toBeNull();
    fed.reopen();
    expect(fed.store.runningHash).toBeNull();
  }),
  rule('MVCC-HASH-4: of sixteen keys any column of any row that was altered is found by the next entry', (fed) => {
    fed.batch([grant(1), ...sixteen, toLevel(2)]);
    for (let round = 0; round < 3; round++) fed.put(keyOf(round), 'again');
    const isLarge = 'CASE WHEN large IS NULL THEN';
    const edits = [
      `key = CAST(key || 'x' AS BLOB)`,
      'mod = mod + 1',
      'created = created - 1',
      'version = version + 1',
      `lease = CASE WHEN lease IS NULL THEN '7' ELSE NULL END`,
      `lease = CASE WHEN lease IS NULL THEN '1' ELSE '2' END`,
      `value = ${isLarge} CAST(value || 'x' AS BLOB) ELSE x'00' END`,
      `value = ${isLarge} CAST('X' || ifnull(substr(value, 2), '') AS BLOB) ELSE x'' END`,
      `large = ${isLarge} (SELECT MAX(id) FROM large_values) ELSE NULL END`,
      `large = ${isLarge} (SELECT MIN(id) FROM large_values) ELSE 1000 END`,
    ];
    for (let n = 0; n < 16; n++) {
      const key = keyOf(n);
      const others = [put(key === keyOf(0) ? keyOf(1) : keyOf(0), 'new'), txn({}), grant(9)];
      const own = [put(key, 'new'), remove(key)];
      for (const edit of [...edits.map((one) => `UPDATE head SET ${one}`), 'DELETE FROM head']) {
        // Nothing ever reads a value beside a large value, so the hash does not see it: it becomes history with its
        // row.
        const operations = n % 4 === 2 && edit.includes('SET value') ? others : [...others, ...own];
        for (const operation of operations) {
          expect(isFound(fed, `${edit} ${ofKey(key)}`, operation), `${edit} ${key}, ${operation.kind}`).toBe(true);
        }
      }
    }
    const more = `INSERT INTO head VALUES (CAST('${keyOf(5)}x' AS BLOB), 2, 2, 1, NULL, x'00', NULL)`;
    expect(isFound(fed, more, grant(9))).toBe(true);
  }),
  rule(
    'MVCC-HASH-5: of 200 keys a row that was altered is found within 200 / 16 + 1 entries, whatever they write',
    (fed) => {
      const keys = 200;
      fed.batch([...Array.from({ length: keys }, (_, n) => put(keyOf(n), `value ${n}`)), toLevel(2)]);
      const entriesMax = Math.floor(keys / scrubbedRowsMax + 1);
      const latest = new Set<number>();
      for (let round = 0; round < 60; round++) {
        fed.put(keyOf((round * 37) % keys), String(round));
        if (round % 7 === 0) fed.reopen();
        const entries = Array.from({ length: entriesMax }, (_, n) => [
          put(keyOf((round * 71 + n * 29) % keys), 'then'),
        ]);
        const edit = otherValue((round * 53) % keys);
        const [right, wrong] = [hashesIf(fed, [], entries), hashesIf(fed, [edit], entries)];
        const at = right.findIndex((hash, nth) => hash !== wrong[nth]);
        expect(at).toBeGreaterThanOrEqual(0);
        // From then on the hash sees it.
        expect(right.every((hash, nth) => nth < at || hash !== wrong[nth])).toBe(true);
        latest.add(at);
      }
      expect(latest.size).toBeGreaterThan(5);
    },
  ),
  rule('MVCC-HASH-6: what an entry writes counts at once, and so does what it takes the place of', (fed) => {
    const keys = Array.from({ length: 60 }, (_, n) => put(keyOf(n)));
    fed.batch([...keys, grant(1), putLeased('z', 1), put('z/large', 'l'.repeat(2_000)), toLevel(2)]);
    // The scrub is at the first rows. An alteration of the last rows is found because they are written.
    const edits = [`value = x'2d'`, 'created = created - 1', 'version = version + 1', 'mod = mod - 1', `lease = '5'`];
    for (const edit of edits) {
      const statement = `UPDATE head SET ${edit} ${ofKey('z')}`;
      for (const operation of [put('z'), remove('z'), remove(keyRange('y', 'zz')), remove(everything)]) {
        expect(isFound(fed, statement, operation), `${edit}, then ${operation.kind}`).toBe(true);
      }
      expect(isFound(fed, statement, put(keyOf(1)))).toBe(false);
    }
    expect(
      isFound(fed, `UPDATE large_values SET bytes = CAST('m' || substr(bytes, 2) AS BLOB)`, remove('z/large')),
    ).toBe(true);
    const written: readonly Operation[] = [
      put('new', 'v'),
      put('new', 'w'),
      put('new', 'vv'),
      putLeased('new', 1),
      put('neu', 'v'),
      txn({ success: [put('new', 'v')] }),
      remove('new'),
    ];
    expect(new Set(written.map((operation) => hashesIf(fed, [], [[operation]])[0])).size).toBe(written.length);
  }),
  rule('MVCC-HASH-7: of a deletion of more than is kept in memory, what was deleted counts as far as it was', (fed) => {
    const value = 'x'.repeat(500);
    const count = Math.ceil((1.2 * previousKeptBytesMax) / value.length);
    fed.batch(Array.from({ length: count }, (_, n) => put(keyOf(n), value)));
    fed.do(toLevel(2));
    expect(isFound(fed, otherValue(100), remove(everything))).toBe(true);
    expect(isFound(fed, otherValue(count - 1), remove(everything))).toBe(false);
    fed.do(remove(everything));
    const running = fed.store.runningHash;
    fed.reopen();
    expect(fed.store.runningHash).toEqual(running);
  }),
  rule(
    'MVCC-LIMIT-12: of a value hashedValueBytesMax count when it is written, foundValueBytesMax when found',
    (fed) => {
      const length = scrubbedValueBytesMax + 1;
      const altered = (at: number, of = length): string => `${'v'.repeat(at)}w${'v'.repeat(of - at - 1)}`;
      fed.do(toLevel(2));
      const written = (value: string): number | undefined => hashesIf(fed, [], [[put('k', value)]])[0];
      const plain = written('v'.repeat(length));
      expect(written(altered(hashedValueBytesMax - 1))).not.toBe(plain);
      expect(written(altered(hashedValueBytesMax))).toBe(plain);
      expect(written('v'.repeat(length + 1))).not.toBe(plain);
      fed.batch([put('long', 'v'.repeat(length)), put('short', 'v'.repeat(scrubbedValueBytesMax))]);
      const scrubbed = (at: number): boolean =>
        isFound(fed, otherLarge('short', altered(at, scrubbedValueBytesMax)), put('z'));
      expect([scrubbed(foundValueBytesMax - 1), scrubbed(foundValueBytesMax)]).toEqual([true, false]);
      // Of a longer value a scrub sees the length alone, until the value is overwritten.
      const longOne = otherLarge('long', altered(0));
      expect([isFound(fed, longOne, put('z')), isFound(fed, longOne, put('long'))]).toEqual([false, true]);
      expect(isFound(fed, otherLarge('long', 'v'.repeat(length + 1)), put('z'))).toBe(true);
      const overwritten = (at: number): boolean => isFound(fed, otherLarge('long', altered(at)), put('long'));
      expect([overwritten(foundValueBytesMax - 1), overwritten(foundValueBytesMax)]).toEqual([true, false]);
    },
  ),
  rule('MVCC-LIMIT-13: an entry scrubs scrubbedRowsMax rows, the next one those that follow', (fed) => {
    fed.batch([...Array.from({ length: scrubbedRowsMax + 1 }, (_, n) => put(keyOf(n))), toLevel(2)]);
    // The entry that raised the level has scrubbed all rows but the last. The next entry scrubs that row, the new key,
    // and the first rows.
    const entries = [[put('!')], [put('!')]];
    const right = hashesIf(fed, [], entries);
    const foundBy = (n: number): number => {
      const wrong = hashesIf(fed, [`UPDATE head SET created = 1 ${ofKey(keyOf(n))}`], entries);
      return right.findIndex((hash, nth) => hash !== wrong[nth]);
    };
    const last = scrubbedRowsMax - 3;
    expect([foundBy(scrubbedRowsMax), foundBy(0), foundBy(last), foundBy(last + 1)]).toEqual([0, 0, 0, 1]);
  }),
  rule('MVCC-HASH-8: what takes several rows has its hash in the last of them', (fed) => {
    fed.do(toLevel(2));
    const key = 'k'.repeat(1_000);
    const operations = Array.from({ length: Math.ceil(batchPartBytesMax / 1_000) + 10 }, (_, n) =>
      put(`${key}${n}`, ''),
    );
    fed.batch(operations);
    const parts = fed.sql.all(
      `SELECT hash, scrubbed IS NULL FROM batches WHERE log_index = ${fed.index} ORDER BY part`,
    );
    expect(parts).toEqual([
      [null, 1],
      [fed.store.runningHash?.hash, 0],
    ]);
    const running = fed.store.runningHash;
    fed.reopen();
    expect(fed.store.runningHash).toEqual(running);
  }),
];
