// Writes an overlay to the tables, in the order of keys: what each write would have left there if it had been written
// at once. It is called in the turn that moves the flushed index, and the overlay is cleared after it.

import type { SqlPort, SqlRow, SqlValue } from '../../base/sql-port.ts';
import { noLease } from '../../model/brands.ts';
import type { KeyValue } from '../../model/store.ts';
import { moveKey } from '../revision-writer.ts';
import { RowInserts } from '../row-inserts.ts';
import { leaseColumn, numberOf } from '../rows.ts';
import { inlineValueBytesMax } from '../schema.ts';
import type { OverlaidKey, Overlay } from './overlay.ts';

/** A statement takes a hundred parameters: two for each key that it supersedes. */
const supersededAtOnce = 50;
const insertLarge = 'INSERT INTO large_values (bytes) VALUES (?) RETURNING id';
const deleteHead = 'DELETE FROM head WHERE key = ?';
const columns = ['key', 'mod', 'created', 'version', 'lease', 'value', 'large'] as const;
const laterColumns = ['key', 'mod', 'until', 'created', 'version', 'lease', 'value', 'large'] as const;

export function flushOverlay(sql: SqlPort, overlay: Overlay): void {
  supersede(
    sql,
    [...overlay.all()].filter(({ inTables, hasValue }) => inTables !== null && !hasValue),
  );
  const later = new RowInserts(sql, 'superseded', laterColumns);
  const head = new RowInserts(sql, 'head', columns, 'INSERT OR REPLACE INTO');
  for (const overlaid of overlay.all()) {
    const { key, inTables, hasValue, versions } = overlaid;
    // It was hashed as it is in memory: what became of the row since then does not matter.
    if (inTables !== null && hasValue) {
      const [mod, ...others] = columnsOf(sql, inTables);
      later.add([key, mod, versions[0]?.mod ?? null, ...others]);
    }
    for (const [place, { kv }] of versions.entries()) {
      const next = versions[place + 1];
      if (kv === null) continue;
      const [mod, ...others] = columnsOf(sql, kv);
      if (next === undefined) head.add([key, mod, ...others]);
      else later.add([key, mod, next.mod, ...others]);
    }
    const last = versions.at(-1)?.kv ?? null;
    if (last === null && inTables !== null) sql.run(deleteHead, key);
    moveKey(sql, key, { from: inTables?.lease ?? noLease, to: last?.lease ?? noLease });
  }
  later.flush();
  head.flush();
}

/** All after the key, in the order of the tables. */
function columnsOf(sql: SqlPort, kv: KeyValue): [SqlValue, ...SqlRow] {
  const isLarge = kv.value.byteLength > inlineValueBytesMax;
  const large = isLarge ? numberOf(sql.all(insertLarge, kv.value)[0]?.[0]) : null;
  return [kv.modRevision, kv.createRevision, kv.version, leaseColumn(kv.lease), isLarge ? null : kv.value, large];
}

function supersede(sql: SqlPort, overlaid: readonly OverlaidKey[]): void {
  for (let first = 0; first < overlaid.length; first += supersededAtOnce) {
    const part = overlaid.slice(first, first + supersededAtOnce);
    const pairs = part.map(() => '(?, ?)').join(', ');
    sql.run(
      `INSERT INTO superseded (key, mod, until, created, version, lease, value, large)
        SELECT key, mod, column2, created, version, lease, value, large
        FROM (VALUES ${pairs}) CROSS JOIN head ON head.key = column1`,
      ...part.flatMap(({ key, versions }) => [key, versions[0]?.mod ?? null]),
    );
  }
}
