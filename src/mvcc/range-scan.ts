// The SQL of range reads: one statement text for each combination of span, revision, filters, order and columns, made
// once, because the database caches statements by their text. This file reads rows; range.ts knows what they mean to a
// request, and `overlay/versions.ts` reads what memory has beside the rows.

import { keptValueBytesMax } from '../limits.ts';
import type { Revision } from '../model/brands.ts';
import type { KeyValue, RangeRequest } from '../model/store.ts';
import type { SqlPort, SqlValue } from '../base/sql-port.ts';
import type { KeySpan } from '../model/key-range.ts';
import { bytesOf, keyValueOf, numberOf, pairColumns, pairColumnsWithoutValue } from './rows.ts';
import type { WorkBudget } from './work-budget.ts';

/**
 * `head`: the present state (in a transaction: with its changes so far). A number: the state at that revision, which
 * must be an earlier one.
 */
export type AsOf = 'head' | number;

export type RevisionFilter = Pick<
  RangeRequest,
  'minModRevision' | 'maxModRevision' | 'minCreateRevision' | 'maxCreateRevision'
>;

export type Scan = {
  readonly span: KeySpan;
  readonly asOf: AsOf;
  /** Null: all. */
  readonly filter: RevisionFilter | null;
  readonly descending: boolean;
  readonly values: boolean;
  /** Null: all. */
  readonly limit: number | null;
};

type Shape = {
  readonly bounded: boolean;
  readonly old: boolean;
  readonly filtered: boolean;
  readonly descending: boolean;
  readonly values: boolean;
};

const statements = new Map<number, string>();
const countStatements = new Map<number, string>();

// Parameters have the same numbers in all statements of a shape: ?1 from, ?2 limit, then to, revision and filters if
// they occur.

function statementOf(shape: Shape): string {
  const { bounded, old, filtered, descending, values } = shape;
  const code = Number(bounded) | (Number(old) << 1) | (Number(filtered) << 2) | (Number(descending) << 3);
  const fullCode = code | (Number(values) << 4);
  const known = statements.get(fullCode);
  if (known !== undefined) return known;
  const columns = values ? pairColumns : pairColumnsWithoutValue;
  let next = 3;
  const span = bounded ? `key >= ?1 AND key < ?${next++}` : 'key >= ?1';
  const at = old ? next++ : 0;
  const filter = filtered
    ? ` AND mod >= ?${next++} AND mod <= ?${next++} AND created >= ?${next++} AND created <= ?${next++}`
    : '';
  const head = `SELECT ${columns} FROM head WHERE ${span}${old ? ` AND mod <= ?${at}` : ''}${filter}`;
  // Both halves come in the order of their keys, and are merged row by row: nothing is collected or sorted.
  const superseded = old
    ? ` UNION ALL SELECT ${columns} FROM superseded WHERE ${span} AND mod <= ?${at} AND until > ?${at}${filter}`
    : '';
  const statement = `${head}${superseded} ORDER BY key${descending ? ' DESC' : ''} LIMIT ?2`;
  statements.set(fullCode, statement);
  return statement;
}

function countStatementOf(bounded: boolean, old: boolean): string {
  const code = Number(bounded) | (Number(old) << 1);
  const known = countStatements.get(code);
  if (known !== undefined) return known;
  const span = bounded ? 'key >= ?1 AND key < ?2' : 'key >= ?1';
  const at = bounded ? '?3' : '?2';
  const statement = old
    ? `SELECT (SELECT COUNT(*) FROM head WHERE ${span} AND mod <= ${at}) +
      (SELECT COUNT(*) FROM superseded WHERE ${span} AND mod <= ${at} AND until > ${at})`
    : `SELECT COUNT(*) FROM head WHERE ${span}`;
  countStatements.set(code, statement);
  return statement;
}

const rowStatements = new Map<number, string>();

/** ?1 from, ?2 limit, then to and compacted if they occur. */
function rowStatementOf(bounded: boolean, old: boolean): string {
  const code = Number(bounded) | (Number(old) << 1);
  const known = rowStatements.get(code);
  if (known !== undefined) return known;
  const span = bounded ? 'key >= ?1 AND key < ?3' : 'key >= ?1';
  const superseded = ` UNION ALL SELECT 1 FROM superseded WHERE ${span} AND until > ?${bounded ? 4 : 3}`;
  const statement = `SELECT COUNT(*) FROM (SELECT 1 FROM head WHERE ${span}${old ? superseded : ''} LIMIT ?2)`;
  rowStatements.set(code, statement);
  return statement;
}

/** So many keys are looked for with one statement, or some fewer. */
const headsOfStatement = [1, 4, 16, 64] as const;
const headsStatements = new Map<number, string>(
  headsOfStatement.map((count) => {
    const keys = Array.from({ length: count }, () => '(?)').join(', ');
    const value = `CASE WHEN large IS NULL THEN value ELSE
      (SELECT bytes FROM large_values WHERE id = large AND length(bytes) <= ${keptValueBytesMax}) END`;
    return [
      count,
      `SELECT key, mod, created, version, lease, ${value}, large FROM (VALUES ${keys}) CROSS JOIN head ON head.key = column1`,
    ];
  }),
);

/** So many keys `headsOf` takes at most. */
export const headsAtOnceMax = headsOfStatement.at(-1) ?? 1;

/** The rows of the keys. `pair` null: there is a row, and its value is larger than is kept. */
export function headsOf(
  sql: SqlPort,
  keys: readonly Uint8Array[],
): readonly { readonly key: Uint8Array; readonly pair: KeyValue | null }[] {
  const count = headsOfStatement.find((each) => each >= keys.length) ?? headsAtOnceMax;
  // No key is NULL.
  const named: SqlValue[] = [...keys, ...Array.from({ length: count - keys.length }, () => null)];
  return sql.all(headsStatements.get(count) ?? '', ...named).map((row) => {
    const isLarge = row[6] !== null && row[5] === null;
    return { key: bytesOf(row[0]), pair: isLarge ? null : keyValueOf(row) };
  });
}

const headPair = `SELECT ${pairColumns} FROM head WHERE key = ?`;
const headPairWithoutValue = `SELECT ${pairColumnsWithoutValue} FROM head WHERE key = ?`;
/** The version before or at a revision. The caller checks by the last column whether it is still seen there. */
const supersededPair = `SELECT ${pairColumns}, until FROM superseded WHERE key = ? AND mod <= ? ORDER BY mod DESC LIMIT 1`;

/** The pairs one by one, in the order of their keys. */
export function* scanPairs(sql: SqlPort, scan: Scan): Generator<KeyValue, void, void> {
  const { span, asOf, filter } = scan;
  if (span.kind === 'single') {
    const pair = pairOf(sql, span.key, asOf, scan.values);
    if (pair !== null && (filter === null || filterHolds(filter, pair))) yield pair;
    return;
  }
  const statement = statementOf({
    bounded: span.kind === 'bounded',
    old: asOf !== 'head',
    filtered: filter !== null,
    descending: scan.descending,
    values: scan.values,
  });
  // -1 is SQLite's "no limit".
  const bindings: SqlValue[] = [span.from, scan.limit ?? -1];
  if (span.kind === 'bounded') bindings.push(span.to);
  if (asOf !== 'head') bindings.push(asOf);
  if (filter !== null) bindings.push(...filterBindings(filter));
  for (const row of sql.iterate(statement, ...bindings)) yield keyValueOf(row);
}

const createdBeforeStatements = {
  open: 'SELECT COUNT(*) FROM (SELECT 1 FROM head WHERE key >= ?1 AND created < ?2 LIMIT ?3)',
  bounded: 'SELECT COUNT(*) FROM (SELECT 1 FROM head WHERE key >= ?1 AND created < ?2 AND key < ?4 LIMIT ?3)',
} as const;
const firstCreatedStatements = {
  open: 'SELECT key FROM head WHERE key >= ?1 ORDER BY created, key LIMIT ?2',
  bounded: 'SELECT key FROM head WHERE key >= ?1 AND key < ?3 ORDER BY created, key LIMIT ?2',
} as const;

export type WideSpan = Exclude<KeySpan, { readonly kind: 'single' }>;

/** The rows of a range as of a revision (?1), from ?2 up to ?3. NULL as ?3: there is no end. */
const oldRows = ['head WHERE mod <= ?1', 'superseded WHERE mod <= ?1 AND until > ?1']
  .map((rows) => `SELECT key, created FROM ${rows} AND key >= ?2 AND (?3 IS NULL OR key < ?3)`)
  .join(' UNION ALL ');
const countOldCreatedBefore = `SELECT COUNT(*) FROM (SELECT 1 FROM (${oldRows}) WHERE created < ?4 LIMIT ?5)`;
const firstOldCreated = `SELECT key FROM (${oldRows}) ORDER BY created, key LIMIT ?4`;

function oldBindings(asOf: number, span: WideSpan): readonly SqlValue[] {
  return [asOf, span.from, span.kind === 'bounded' ? span.to : null];
}

/** How many keys of the range were created before a revision, counted up to `max`. */
export function countCreatedBefore(
  sql: SqlPort,
  span: WideSpan,
  { asOf, createRevision, max }: { readonly asOf: AsOf; readonly createRevision: number; readonly max: number },
): number {
  if (asOf !== 'head') {
    return numberOf(sql.all(countOldCreatedBefore, ...oldBindings(asOf, span), createRevision, max)[0]?.[0]);
  }
  const bindings: SqlValue[] = [span.from, createRevision, max];
  if (span.kind === 'bounded') bindings.push(span.to);
  return numberOf(sql.all(createdBeforeStatements[span.kind], ...bindings)[0]?.[0]);
}

/** The keys of the range that were created first, in the order of their creation and by themselves, at most `max`. */
export function firstCreated(sql: SqlPort, span: WideSpan, asOf: AsOf, max: number): readonly Uint8Array[] {
  const bindings = span.kind === 'bounded' ? [span.from, max, span.to] : [span.from, max];
  const rows =
    asOf === 'head'
      ? sql.all(firstCreatedStatements[span.kind], ...bindings)
      : sql.all(firstOldCreated, ...oldBindings(asOf, span), max);
  return rows.map(([key]) => bytesOf(key));
}

/** How many keys the range holds. */
export function countKeys(sql: SqlPort, span: KeySpan, asOf: AsOf): number {
  if (span.kind === 'single') return pairOf(sql, span.key, asOf, false) === null ? 0 : 1;
  const bindings: SqlValue[] = [span.from];
  if (span.kind === 'bounded') bindings.push(span.to);
  if (asOf !== 'head') bindings.push(asOf);
  return numberOf(sql.all(countStatementOf(span.kind === 'bounded', asOf !== 'head'), ...bindings)[0]?.[0]);
}

/**
 * Draws the rows that a scan of the range goes through, whatever it hands over. False: they are more than is left, and
 * were not counted further. Of older versions, those count that compaction must leave, because each replica sweeps the
 * others when it finds time.
 */
export function drawRows(
  sql: SqlPort,
  span: KeySpan,
  { asOf, compacted, work }: { readonly asOf: AsOf; readonly compacted: number; readonly work: WorkBudget },
): boolean {
  if (!work.isBounded) return true;
  return work.count(rowsOf(sql, span, { asOf, compacted, max: work.countableRows + 1 }));
}

/** The same for keys that will be deleted. */
export function drawWrittenRows(sql: SqlPort, span: KeySpan, work: WorkBudget): boolean {
  if (!work.isBounded) return true;
  return work.write(rowsOf(sql, span, { asOf: 'head', compacted: 0, max: work.writableRows + 1 }));
}

/** How many keys the range holds now, counted up to `max`. */
export function countHead(sql: SqlPort, span: KeySpan, max: number): number {
  return rowsOf(sql, span, { asOf: 'head', compacted: 0, max });
}

/** The number is counted up to `max`. */
function rowsOf(
  sql: SqlPort,
  span: KeySpan,
  { asOf, compacted, max }: { readonly asOf: AsOf; readonly compacted: number; readonly max: number },
): number {
  if (span.kind === 'single') return 1;
  const bindings: SqlValue[] = [span.from, max];
  if (span.kind === 'bounded') bindings.push(span.to);
  if (asOf !== 'head') bindings.push(compacted);
  return numberOf(sql.all(rowStatementOf(span.kind === 'bounded', asOf !== 'head'), ...bindings)[0]?.[0]);
}

export function pairOf(sql: SqlPort, key: Uint8Array, asOf: AsOf, values: boolean): KeyValue | null {
  const head = sql.all(values ? headPair : headPairWithoutValue, key)[0];
  if (asOf === 'head') return head === undefined ? null : keyValueOf(head);
  if (head !== undefined && numberOf(head[1]) <= asOf) return keyValueOf(head);
  const row = sql.all(supersededPair, key, asOf)[0];
  return row === undefined || numberOf(row[6]) <= asOf ? null : keyValueOf(row);
}

const versionAt = `SELECT ${pairColumns} FROM head WHERE key = ?1 AND mod = ?2 UNION ALL
  SELECT ${pairColumns} FROM superseded WHERE key = ?1 AND mod = ?2`;
/** Versions of a key end in the order in which they began: only the newest earlier one can end at that revision. */
const previousAt = `SELECT ${pairColumns} FROM
  (SELECT * FROM superseded WHERE key = ?1 AND mod < ?2 ORDER BY mod DESC LIMIT 1) WHERE until = ?2`;

/** The version that began at that revision. Null: it is compacted. */
export function pairAt(sql: SqlPort, key: Uint8Array, revision: Revision): KeyValue | null {
  const row = sql.all(versionAt, key, revision)[0];
  return row === undefined ? null : keyValueOf(row);
}

/** The pair before `revision`, which put or deleted the key. Null: it did not exist, or is compacted. */
export function previousPair(sql: SqlPort, key: Uint8Array, revision: Revision): KeyValue | null {
  const row = sql.all(previousAt, key, revision)[0];
  return row === undefined ? null : keyValueOf(row);
}

/** As in etcd: 0 does not filter, a negative number does. */
export function filterOf(request: RevisionFilter): RevisionFilter | null {
  const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = request;
  const none = minModRevision === 0 && maxModRevision === 0 && minCreateRevision === 0 && maxCreateRevision === 0;
  return none ? null : { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision };
}

export function filterHolds(filter: RevisionFilter, pair: KeyValue): boolean {
  const [minMod, maxMod, minCreate, maxCreate] = filterBindings(filter);
  const { modRevision, createRevision } = pair;
  return modRevision >= minMod && modRevision <= maxMod && createRevision >= minCreate && createRevision <= maxCreate;
}

function filterBindings(filter: RevisionFilter): [number, number, number, number] {
  return [
    filter.minModRevision,
    filter.maxModRevision === 0 ? Number.MAX_SAFE_INTEGER : filter.maxModRevision,
    filter.minCreateRevision,
    filter.maxCreateRevision === 0 ? Number.MAX_SAFE_INTEGER : filter.maxCreateRevision,
  ];
}
