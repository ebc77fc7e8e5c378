// How the rows of a snapshot become rows of the staging tables: versions of keys with their large values and the keys
// of their leases, and rows of tables that are known by the names of their columns alone.

import { MalformedBytesError } from '../../base/binary.ts';
import { compareBytes } from '../../base/bytes.ts';
import type { SqlPort, SqlRow } from '../../base/sql-port.ts';
import { columnsOf } from './generic-rows.ts';
import type { KeptVersion } from '../kept-versions.ts';
import { RowInserts } from '../row-inserts.ts';
import { numberOf } from '../rows.ts';
import { inlineValueBytesMax } from '../schema.ts';
import type { SnapshotCursor } from './snapshot-page.ts';
import { stagingName } from './snapshot-staging.ts';

const versionColumns = ['created', 'version', 'lease', 'value', 'large'] as const;
const insertLarge = `INSERT INTO ${stagingName('large_values')} (bytes) VALUES (?) RETURNING id`;

export class StagedVersions {
  readonly #sql: SqlPort;
  readonly #head: RowInserts;
  readonly #superseded: RowInserts;
  readonly #leaseKeys: RowInserts;
  readonly #revision: number;
  #last: SnapshotCursor;

  /** `after`: the row that was written before. `revision`: that of the snapshot. */
  constructor(sql: SqlPort, { after, revision }: { readonly after: SnapshotCursor; readonly revision: number }) {
    this.#sql = sql;
    this.#head = new RowInserts(sql, stagingName('head'), ['key', 'mod', ...versionColumns]);
    this.#superseded = new RowInserts(sql, stagingName('superseded'), ['key', 'mod', 'until', ...versionColumns]);
    this.#leaseKeys = new RowInserts(sql, stagingName('lease_keys'), ['lease', 'key']);
    this.#revision = revision;
    this.#last = after;
  }

  add(added: KeptVersion): void {
    const { key, mod, until, lease, value } = added;
    this.#checkOrder(added);
    this.#last = { kind: 'versions', key, mod };
    // Keys are attached as RevisionWriter does it.
    const isLarge = value.byteLength > inlineValueBytesMax;
    const large = isLarge ? numberOf(this.#sql.all(insertLarge, value)[0]?.[0]) : null;
    const columns = [added.created, added.version, lease, isLarge ? null : value, large];
    if (until !== null) return this.#superseded.add([key, mod, until, ...columns]);
    this.#head.add([key, mod, ...columns]);
    if (lease !== null) this.#leaseKeys.add([lease, key]);
  }

  flush(): void {
    for (const inserts of [this.#head, this.#superseded, this.#leaseKeys]) inserts.flush();
  }

  #checkOrder({ key, mod }: KeptVersion): void {
    const last = this.#last;
    if (last.kind === 'batches') throw new MalformedBytesError('a version behind the batches');
    const order = compareBytes(last.key, key);
    const isNext = order < 0 || (order === 0 && last.mod < mod);
    if (!isNext || mod > this.#revision) throw new MalformedBytesError('a version out of order');
  }
}

export class StagedRows {
  readonly #inserts: RowInserts;
  /** The columns that the table has. */
  readonly #places: readonly number[];

  /**
   * Columns that the format of the snapshot does not have are left out: the store of the sender is of a later format by
   * now, or was once.
   */
  constructor(sql: SqlPort, table: string, names: readonly string[]) {
    const own = new Set(columnsOf(sql, stagingName(table)));
    const known = names.map((name, place) => ({ name, place })).filter(({ name }) => own.has(name));
    if (known.length === 0) throw new MalformedBytesError(`a row without columns of ${table}`);
    const namesKnown = known.map(({ name }) => name);
    this.#places = known.map(({ place }) => place);
    this.#inserts = new RowInserts(sql, stagingName(table), namesKnown);
  }

  add(row: SqlRow): void {
    this.#inserts.add(this.#places.map((place) => row[place] ?? null));
  }

  flush(): void {
    this.#inserts.flush();
  }
}
