// The tables of a store. What is a row here is billed when it is written, and is a format that later versions must
// read.
//
// Chosen by test/measure/row-formats.ts (100,000 keys, batches of 50, Node's SQLite; microseconds a put, milliseconds a
// list of 1,000; rows billed for a create / an update):
//
//   100 B values                   rows   create  update  head  old page        1,024 B: create  update  head   MiB
//   A  (key, mod)                  1 / 1   18      21     3.0   3.2                        71      93   18.7    536
//   B  head + superseded           1 / 2   20      46     2.4   2.8                        73     149    3.8    537
//   E  as B, values by rowid       2 / 3   18      29     4.6   3.6                        20      35    6.0    163
//   C  by revision + key index     2 / 2   14      22     5.7   6.1                        14      19    5.0    162
//
// B lists at the speed of a scan and bills least beside A, whose lists seek twice a key and degrade with each version
// kept. A row WITHOUT ROWID over about 1,000 bytes spills into 4 KiB overflow pages: so values over
// `inlineValueBytesMax` live in `large_values` (as E). An update then copies no value either. Catch-up reads `batches`:
// no index by revision is paid for.

import { assert } from '../base/assert.ts';
import { groupLevel } from '../model/levels.ts';
import { hasTable, type SqlPort } from '../base/sql-port.ts';

/** A newer version wrote the store: this one must not touch it. */
export class UnknownStoreFormat extends Error {
  override readonly name = 'UnknownStoreFormat';
}

/** The newest format that this code knows. A store written by a newer version is not opened. */
export const schemaFormat = 8;

/**
 * The format of a store at each level of its group: replicas that go back to code of a lower level must be able to open
 * it. A fresh store is of the first level.
 */
const formatOfLevel: Readonly<Record<number, number>> = {
  [groupLevel.first]: 2,
  [groupLevel.second]: 3,
  [groupLevel.third]: 4,
  [groupLevel.fourth]: 5,
  [groupLevel.fifth]: 6,
  [groupLevel.sixth]: 7,
  [groupLevel.seventh]: 8,
};

/** Rows of `head` and `superseded` stay well under a quarter of a page, so that trees stay flat. */
export const inlineValueBytesMax = 512;

/**
 * This is added to the format while an entry is applied in steps (large-delete.ts): code that does not know such steps
 * must not open the store between two.
 */
const underWayMark = 1_000;

const firstTables = [
  // name: see MetaName.
  `CREATE TABLE mvcc_meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID`,

  // The newest version of each key that exists. `lease` is NULL for none, else decimal text: 64 bits do not pass as
  // numbers. The value is `value`, or the row `large` of large_values.
  `CREATE TABLE head (key BLOB NOT NULL PRIMARY KEY, mod INTEGER NOT NULL, created INTEGER NOT NULL, version INTEGER NOT NULL,
    lease TEXT, value BLOB, large INTEGER) WITHOUT ROWID`,

  // Versions that were overwritten or deleted at revision `until`: visible from `mod` to `until` - 1. A delete is known
  // by its `until` alone and needs no row of its own.
  `CREATE TABLE superseded (key BLOB NOT NULL, mod INTEGER NOT NULL, until INTEGER NOT NULL, created INTEGER NOT NULL,
    version INTEGER NOT NULL, lease TEXT, value BLOB, large INTEGER, PRIMARY KEY (key, mod)) WITHOUT ROWID`,

  `CREATE TABLE large_values (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL)`,

  // One row (several parts where it is large) for each log entry with commands, or, since format 7, for several small
  // ones: the changed keys by revision, and the ids of the writes with what became of them. The newest row also says
  // how far the store is: revision, applied index, and how many writes were remembered up to it.
  `CREATE TABLE batches (last_revision INTEGER NOT NULL, log_index INTEGER NOT NULL, part INTEGER NOT NULL,
    writes_total INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (last_revision, log_index, part)) WITHOUT ROWID`,

  // state: 0 may be used, 1 revoked, 2 (since format 5) rotated: it may be used until it expires. Times in milliseconds
  // since 1970.
  `CREATE TABLE access_keys (id TEXT PRIMARY KEY, role TEXT NOT NULL, prefix BLOB, expires_at INTEGER,
    created_at INTEGER NOT NULL, state INTEGER NOT NULL) WITHOUT ROWID`,
];

// Since format 2. Which keys are attached to a lease is a table of its own: a key costs one row more when it is
// attached, one when it is detached, and none when it is put again with the same lease, as those do that renew a value.
// A partial index of `head` would bill one more for each put with a lease, also with the same one. Keys without leases
// pay nothing either way (measured in a Durable Object: rows written, and time).
const secondTables = [
  // Ids are decimal text: 64 bits do not pass as numbers. Deadlines in milliseconds since 1970.
  `CREATE TABLE leases (id TEXT PRIMARY KEY, ttl INTEGER NOT NULL, deadline INTEGER NOT NULL) WITHOUT ROWID`,
  `CREATE TABLE lease_keys (lease TEXT NOT NULL, key BLOB NOT NULL, PRIMARY KEY (lease, key)) WITHOUT ROWID`,

  // password is NULL for a user without one. since: the auth revision that tokens of this user must have at least.
  `CREATE TABLE auth_users (name TEXT PRIMARY KEY, password TEXT, since INTEGER NOT NULL) WITHOUT ROWID`,
  `CREATE TABLE auth_roles (name TEXT PRIMARY KEY) WITHOUT ROWID`,
  `CREATE TABLE auth_grants (user TEXT NOT NULL, role TEXT NOT NULL, PRIMARY KEY (user, role)) WITHOUT ROWID`,
  `CREATE INDEX auth_grants_by_role ON auth_grants (role)`,
  // place: the position among the permissions of one key, in the order in which they came.
  `CREATE TABLE auth_permissions (role TEXT NOT NULL, key BLOB NOT NULL, place INTEGER NOT NULL, range_end BLOB NOT NULL,
    type INTEGER NOT NULL, PRIMARY KEY (role, key, place)) WITHOUT ROWID`,

  // member is decimal text of 64 bits, unsigned.
  `CREATE TABLE alarms (member TEXT NOT NULL, alarm INTEGER NOT NULL, PRIMARY KEY (member, alarm)) WITHOUT ROWID`,
];

// Since format 3: in the last row of each batch the running hash after its entry, and the last key that it scrubbed
// (NULL: it begins with the first one). Columns of a row that is written anyway: nothing more is billed. They stay when
// the format goes back to 2, and are then NULL.
const thirdColumns = [
  ['hash', 'ALTER TABLE batches ADD COLUMN hash INTEGER'],
  ['scrubbed', 'ALTER TABLE batches ADD COLUMN scrubbed BLOB'],
] as const;

// Since format 4: in the last row of each batch the digests of its requests (`BatchRecord`), where there are any. Those
// of before a group last came to this level do not count (`digestsFrom`): a replica that was made from a snapshot in
// between has none of them.
const fourthColumns = [['digests', 'ALTER TABLE batches ADD COLUMN digests BLOB']] as const;

// Since format 7: where the entries of a row end, if it has several (`packed-batch.ts`).
const seventhColumns = [['earlier', 'ALTER TABLE batches ADD COLUMN earlier BLOB']] as const;

// Since format 5: the names of access keys that have one. A store whose format falls loses them: replicas of older code
// forget keys without them.
const fifthTables = [`CREATE TABLE access_key_names (id TEXT PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID`];

// Since format 7: the further prefixes of access keys that have several (`access-key-codec.ts`). A store whose format
// falls loses them, so such a key then opens less.
const sixthTables = [`CREATE TABLE access_key_prefixes (id TEXT PRIMARY KEY, prefixes BLOB NOT NULL) WITHOUT ROWID`];

/** Tables that a store has from a format on, and that are empty below it. */
const laterTables = [
  { since: 5, name: 'access_key_names', statements: fifthTables },
  { since: 7, name: 'access_key_prefixes', statements: sixthTables },
] as const;

const batchColumns = 'PRAGMA table_info(batches)';
const selectMeta = 'SELECT value FROM mvcc_meta WHERE name = ?';
const deleteMeta = 'DELETE FROM mvcc_meta WHERE name = ?';
const replaceMeta = 'INSERT OR REPLACE INTO mvcc_meta VALUES (?, ?)';

/**
 * compacted, sweep: of the compaction. leasesSettled: 1 or 0. authEnabled: 1 or 0. authRevision: counts changes of
 * users and roles. authSince: the auth revision that every token must have at least. downgrade: the version, as UTF-8;
 * 0: none. learner: the one that was announced; 0: none. commandsUndone: how many threw and were undone. underWay: of
 * an entry that is applied in steps; there is no such row where none is.
 * digestsFrom: the log entry by which the group last came to level 3. suspended: 1 or 0, since format 5. terms: those
 * of the tenant, since format 6 (`terms.ts`).
 */
export type MetaName =
  | 'format'
  | 'compacted'
  | 'sweep'
  | 'leasesSettled'
  | 'authEnabled'
  | 'authRevision'
  | 'authSince'
  | 'downgrade'
  | 'learner'
  | 'commandsUndone'
  | 'underWay'
  | 'digestsFrom'
  | 'suspended'
  | 'terms';

/**
 * Creates the tables of a fresh store, and adds those that an older one lacks. Returns the level of the store's group.
 * @throws UnknownStoreFormat for a newer store.
 */
export function openSchema(sql: SqlPort): number {
  const format = formatOf(sql);
  if (format > schemaFormat) {
    throw new UnknownStoreFormat(`the store has format ${format}, this version knows up to ${schemaFormat}`);
  }
  const level = Object.values(groupLevel).find((known) => formatOfLevel[known] === format);
  if (level !== undefined) return level;
  sql.transaction(() => {
    if (format < 1) for (const table of firstTables) sql.run(table);
    // A store of format 1 refused every lease: no key has one.
    for (const table of secondTables) sql.run(table);
    changeFormat(sql, groupLevel.first);
  });
  return groupLevel.first;
}

/** The store becomes one of a group of that level, which may be several levels above or below the one before. */
export function changeFormat(sql: SqlPort, level: number): void {
  const format = formatOfLevel[level];
  assert(format !== undefined, `level ${level} has a format`);
  const former = readMeta(sql, 'format') === null ? 0 : formatOf(sql);
  for (const { since, name, statements } of laterTables) {
    if (format >= since === former >= since) continue;
    // A lower format, or a snapshot of one, leaves the table there. It is emptied, because a table cannot be dropped
    // while any statement reads anything (`snapshot/snapshot-staging.ts`).
    if (hasTable(sql, name)) sql.run(`DELETE FROM ${name}`);
    else if (format >= since) for (const table of statements) sql.run(table);
  }
  const there = sql.all(batchColumns).map((row) => row[1]);
  for (const [column, statement] of columnsOfFormat(format)) if (!there.includes(column)) sql.run(statement);
  writeMeta(sql, 'format', format);
}

function columnsOfFormat(format: number): readonly (readonly [column: string, statement: string])[] {
  return [
    ...(format >= 3 ? thirdColumns : []),
    ...(format >= 4 ? fourthColumns : []),
    ...(format >= 7 ? seventhColumns : []),
  ];
}

/** The statements that make the tables of a store of that format in an empty database, in order. */
export function schemaStatements(format: number): readonly string[] {
  assert(format >= 1 && format <= schemaFormat, `format ${format} is known`);
  if (format < 2) return firstTables;
  const columns = columnsOfFormat(format).map(([, statement]) => statement);
  const later = laterTables.flatMap(({ since, statements }) => (format >= since ? statements : []));
  return [...firstTables, ...secondTables, ...columns, ...later];
}

/** An entry is applied in steps from here on. */
export function markUnderWay(sql: SqlPort): void {
  writeMeta(sql, 'format', formatOf(sql) + underWayMark);
}

/** The whole entry is applied. */
export function unmarkUnderWay(sql: SqlPort): void {
  writeMeta(sql, 'format', formatOf(sql));
  sql.run(deleteMeta, 'underWay' satisfies MetaName);
}

/** 0: the database is fresh. */
function formatOf(sql: SqlPort): number {
  if (!hasTable(sql, 'mvcc_meta')) return 0;
  const format = readMeta(sql, 'format');
  assert(typeof format === 'number' && format > 0, 'a store has a format');
  return format > underWayMark ? format - underWayMark : format;
}

export function readMeta(sql: SqlPort, name: MetaName): number | Uint8Array | null {
  const value = sql.all(selectMeta, name)[0]?.[0] ?? null;
  assert(typeof value !== 'string', 'no meta value is text');
  return value;
}

export function writeMeta(sql: SqlPort, name: MetaName, value: number | Uint8Array): void {
  sql.run(replaceMeta, name, value);
}
