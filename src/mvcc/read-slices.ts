// Cuts a read that goes through very many rows into slices, between which others get their turn. Each slice is a range
// of its own, which begins where the one before ended and is read by the same statements, so nothing of the database is
// held open between two slices. All slices are of one revision: `asOf` says which, and the caller holds it
// (`Store.holdHistory`).

import { compareBytes, equalBytes } from '../base/bytes.ts';
import type { KeyValue } from '../model/store.ts';
import type { SqlPort, SqlValue } from '../base/sql-port.ts';
import type { KeySpan } from '../model/key-range.ts';
import type { Versions } from './overlay/versions.ts';
import type { AsOf, Scan } from './range-scan.ts';
import { keyAfter } from './revision-writer.ts';
import { bytesOf } from './rows.ts';

/** The most that one slice takes: rows that are handed over, rows that the database passes by, and bytes of values. */
export type SliceBounds = { readonly rowsMax: number; readonly passedRowsMax: number; readonly valueBytesMax: number };

type Wide = Exclude<KeySpan, { readonly kind: 'single' }>;
/** `rest` null: the slice is everything that was left. */
type Slice = { readonly span: KeySpan; readonly rest: Wide | null };

/** `bounds` null: everything is one slice. `asOf` is called before each slice. */
export type SlicedScan = Omit<Scan, 'asOf'> & { readonly asOf: () => AsOf; readonly bounds: SliceBounds | null };

/** Hands over the pairs in the order of their keys, until one is enough: `take` says whether it wants another. */
export function* eachPair(
  versions: Versions,
  scan: SlicedScan,
  take: (pair: KeyValue) => boolean,
): Generator<void, void, void> {
  const { bounds } = scan;
  if (bounds === null || scan.span.kind === 'single') {
    for (const pair of versions.pairs({ ...scan, asOf: scan.asOf() })) if (!take(pair)) return;
    return;
  }
  let left = scan.limit;
  let rest: Wide | null = scan.span;
  for (;;) {
    const asOf = scan.asOf();
    const slice: Slice =
      asOf === 'head' && scan.filter === null
        ? { span: rest, rest: null }
        : cut(versions.sql, rest, { asOf, bounds, descending: scan.descending });
    const limit: number = left === null ? bounds.rowsMax : Math.min(left, bounds.rowsMax);
    let taken = 0;
    let bytes = 0;
    let last: Uint8Array | null = null;
    for (const pair of versions.pairs({ ...scan, asOf, span: slice.span, limit })) {
      if (!take(pair)) return;
      taken++;
      last = pair.key;
      bytes += pair.value.byteLength;
      if (bytes >= bounds.valueBytesMax) break;
    }
    if (left !== null) left -= taken;
    if (left === 0) return;
    const isCutShort = last !== null && (taken === limit || bytes >= bounds.valueBytesMax);
    rest = isCutShort && last !== null ? beyond(rest, last, scan.descending) : slice.rest;
    if (rest === null) return;
    yield;
  }
}

/** How many keys the range holds. */
export function* countInSlices(
  versions: Versions,
  { span, asOf, bounds }: Pick<SlicedScan, 'span' | 'asOf' | 'bounds'>,
): Generator<void, number, void> {
  if (bounds === null || span.kind === 'single') return versions.count(span, asOf());
  const max = bounds.passedRowsMax;
  const atOnce = asOf() === 'head' ? versions.countUpTo(span, max) : max + 1;
  if (atOnce <= max) return atOnce;
  let count = 0;
  for (let rest: Wide = span; ;) {
    const at = asOf();
    const slice = cut(versions.sql, rest, { asOf: at, bounds, descending: false });
    const isAllInTables = at === 'head' && versions.isInTables(at);
    count += isAllInTables && slice.rest !== null ? max : versions.count(slice.span, at);
    if (slice.rest === null) return count;
    rest = slice.rest;
    yield;
  }
}

/** The rest of a range after that key. */
function beyond(span: Wide, key: Uint8Array, descending: boolean): Wide {
  return descending ? { kind: 'bounded', from: span.from, to: key } : { ...span, from: keyAfter(key) };
}

type Cut = { readonly asOf: AsOf; readonly bounds: SliceBounds; readonly descending: boolean };

/**
 * The first part of the range that has no more rows than a slice passes by. If one key has more versions than that, the
 * part is that key alone. What memory has beside the rows is little, and is not counted.
 */
function cut(sql: SqlPort, span: Wide, { asOf, bounds, descending }: Cut): Slice {
  const edge = nearest(
    rowAfter(sql, 'head', span, { passed: bounds.passedRowsMax, descending }),
    asOf === 'head' ? null : rowAfter(sql, 'superseded', span, { passed: bounds.passedRowsMax, descending }),
    descending,
  );
  if (edge === null) return { span, rest: null };
  if (descending) {
    const from = keyAfter(edge);
    const isOneKey = span.kind === 'bounded' && equalBytes(from, span.to);
    if (isOneKey) return { span: { kind: 'single', key: edge }, rest: beyond(span, edge, true) };
    return { span: { ...span, from }, rest: { kind: 'bounded', from: span.from, to: from } };
  }
  const isOneKey = equalBytes(edge, span.from);
  if (isOneKey) return { span: { kind: 'single', key: edge }, rest: beyond(span, edge, false) };
  return { span: { kind: 'bounded', from: span.from, to: edge }, rest: { ...span, from: edge } };
}

function nearest(one: Uint8Array | null, other: Uint8Array | null, descending: boolean): Uint8Array | null {
  if (one === null || other === null) return one ?? other;
  return compareBytes(one, other) < 0 === descending ? other : one;
}

const edgeStatements = new Map<number, string>();

/** The key of the row after so many rows. Null: there are no more than that. */
function rowAfter(
  sql: SqlPort,
  table: 'head' | 'superseded',
  span: Wide,
  { passed, descending }: { readonly passed: number; readonly descending: boolean },
): Uint8Array | null {
  const code = Number(table === 'head') | (Number(span.kind === 'bounded') << 1) | (Number(descending) << 2);
  let statement = edgeStatements.get(code);
  if (statement === undefined) {
    const order = ['key', ...(table === 'head' ? [] : ['mod'])].map((column) =>
      descending ? `${column} DESC` : column,
    );
    const to = span.kind === 'bounded' ? ' AND key < ?3' : '';
    statement = `SELECT key FROM ${table} WHERE key >= ?1${to} ORDER BY ${order.join(', ')} LIMIT 1 OFFSET ?2`;
    edgeStatements.set(code, statement);
  }
  const bindings: SqlValue[] = [span.from, passed];
  if (span.kind === 'bounded') bindings.push(span.to);
  const row = sql.all(statement, ...bindings)[0];
  return row === undefined ? null : bytesOf(row[0]);
}
