// Measures how the rows of a store could be laid out, on Node's SQLite: put, list at the head, a page of an old
// revision, catch-up. Run by `node test/measure/row-formats.ts`. What was chosen, and why, stands in
// src/mvcc/schema.ts.
//
// A  one table by (key, mod), newest first, a tombstone row for a delete
// B  a head table by key, and superseded versions by (key, mod) with the revision that superseded them; values in the
// row E  as B, but the values of both tables in a third one by rowid
// C  a table by revision (rowid), and an index by (key, revision)

import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

const keys = 100_000;
const updates = 20_000;
const batch = 50;

type Format = {
  readonly name: string;
  /** The rows that a create and an update write, as they are billed. */
  readonly rowsBilled: string;
  readonly schema: string;
  put(database: DatabaseSync): (key: Buffer, revision: number, value: Buffer) => void;
  readonly head: string;
  readonly old: string;
  /** Reads the pair that a revision wrote, and the pair before it, by its key. */
  catchUp(database: DatabaseSync): (key: Buffer, revision: number) => void;
};

const a: Format = {
  name: 'A',
  rowsBilled: '1 / 1',
  schema: `CREATE TABLE versions (key BLOB, mod INTEGER, created INTEGER, version INTEGER, lease INTEGER, value BLOB,
    PRIMARY KEY (key, mod DESC)) WITHOUT ROWID`,
  put(database) {
    const newest = database.prepare('SELECT created, version FROM versions WHERE key = ? ORDER BY mod DESC LIMIT 1');
    const insert = database.prepare('INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?)');
    return (key, revision, value) => {
      const before = newest.get(key);
      if (before === undefined) insert.run(key, revision, revision, 1, 0, value);
      else insert.run(key, revision, Number(before['created']), Number(before['version']) + 1, 0, value);
    };
  },
  head: `SELECT * FROM versions AS v WHERE key >= ? AND ? > 0 AND
    mod = (SELECT mod FROM versions AS n WHERE n.key = v.key ORDER BY mod DESC LIMIT 1) LIMIT 1000`,
  old: `SELECT * FROM versions AS v WHERE key >= ? AND
    mod = (SELECT mod FROM versions AS n WHERE n.key = v.key AND mod <= ? ORDER BY mod DESC LIMIT 1) LIMIT 1000`,
  catchUp(database) {
    const read = database.prepare('SELECT * FROM versions WHERE key = ? AND mod <= ? ORDER BY mod DESC LIMIT 2');
    return (key, revision) => void read.all(key, revision);
  },
};

const b: Format = {
  name: 'B',
  rowsBilled: '1 / 2',
  schema: `CREATE TABLE head (key BLOB PRIMARY KEY, mod INTEGER, created INTEGER, version INTEGER, lease INTEGER, value BLOB)
      WITHOUT ROWID;
    CREATE TABLE superseded (key BLOB, mod INTEGER, until INTEGER, created INTEGER, version INTEGER, lease INTEGER, value BLOB,
      PRIMARY KEY (key, mod)) WITHOUT ROWID`,
  put(database) {
    const supersede =
      database.prepare(`INSERT INTO superseded SELECT key, mod, ?, created, version, lease, value FROM head
      WHERE key = ? RETURNING created, version, lease, mod, value`);
    const replace = database.prepare('INSERT OR REPLACE INTO head VALUES (?, ?, ?, ?, ?, ?)');
    return (key, revision, value) => {
      const before = supersede.get(revision, key);
      if (before === undefined) replace.run(key, revision, revision, 1, 0, value);
      else replace.run(key, revision, Number(before['created']), Number(before['version']) + 1, 0, value);
    };
  },
  head: 'SELECT * FROM head WHERE key >= ? AND ? > 0 ORDER BY key LIMIT 1000',
  old: `SELECT key, mod, created, version, lease, value FROM head WHERE key >= ?1 AND mod <= ?2 UNION ALL
    SELECT key, mod, created, version, lease, value FROM superseded WHERE key >= ?1 AND mod <= ?2 AND until > ?2
    ORDER BY key LIMIT 1000`,
  catchUp(database) {
    const head = database.prepare('SELECT * FROM head WHERE key = ? AND mod = ?');
    const read = database.prepare('SELECT * FROM superseded WHERE key = ? AND mod <= ? ORDER BY mod DESC LIMIT 2');
    return (key, revision) => {
      head.all(key, revision);
      read.all(key, revision);
    };
  },
};

const e: Format = {
  name: 'E',
  rowsBilled: '2 / 3',
  schema: `CREATE TABLE head (key BLOB PRIMARY KEY, mod INTEGER, created INTEGER, version INTEGER, lease INTEGER, id INTEGER)
      WITHOUT ROWID;
    CREATE TABLE superseded (key BLOB, mod INTEGER, until INTEGER, created INTEGER, version INTEGER, lease INTEGER, id INTEGER,
      PRIMARY KEY (key, mod)) WITHOUT ROWID;
    CREATE TABLE payload (id INTEGER PRIMARY KEY, value BLOB)`,
  put(database) {
    const supersede = database.prepare(`INSERT INTO superseded SELECT key, mod, ?, created, version, lease, id FROM head
      WHERE key = ? RETURNING created, version, lease, mod, id`);
    const payload = database.prepare('INSERT INTO payload VALUES (NULL, ?)');
    const replace = database.prepare('INSERT OR REPLACE INTO head VALUES (?, ?, ?, ?, ?, ?)');
    return (key, revision, value) => {
      const before = supersede.get(revision, key);
      const id = payload.run(value).lastInsertRowid;
      if (before === undefined) replace.run(key, revision, revision, 1, 0, id);
      else replace.run(key, revision, Number(before['created']), Number(before['version']) + 1, 0, id);
    };
  },
  head: 'SELECT head.*, value FROM head LEFT JOIN payload USING (id) WHERE key >= ? AND ? > 0 ORDER BY key LIMIT 1000',
  old: `SELECT key, mod, created, version, lease, (SELECT value FROM payload WHERE payload.id = both.id) FROM (
    SELECT key, mod, created, version, lease, id FROM head WHERE key >= ?1 AND mod <= ?2 UNION ALL
    SELECT key, mod, created, version, lease, id FROM superseded WHERE key >= ?1 AND mod <= ?2 AND until > ?2
    ORDER BY key LIMIT 1000) AS both`,
  catchUp(database) {
    const head = database.prepare('SELECT * FROM head JOIN payload USING (id) WHERE key = ? AND mod = ?');
    const read = database.prepare(
      'SELECT * FROM superseded JOIN payload USING (id) WHERE key = ? AND mod <= ? ORDER BY mod DESC LIMIT 2',
    );
    return (key, revision) => {
      head.all(key, revision);
      read.all(key, revision);
    };
  },
};

const c: Format = {
  name: 'C',
  rowsBilled: '2 / 2',
  schema: `CREATE TABLE revisions (mod INTEGER PRIMARY KEY, key BLOB, created INTEGER, version INTEGER, lease INTEGER, value BLOB);
    CREATE UNIQUE INDEX by_key ON revisions (key, mod DESC)`,
  put(database) {
    const newest = database.prepare('SELECT created, version FROM revisions WHERE key = ? ORDER BY mod DESC LIMIT 1');
    const insert = database.prepare('INSERT INTO revisions VALUES (?, ?, ?, ?, ?, ?)');
    return (key, revision, value) => {
      const before = newest.get(key);
      if (before === undefined) insert.run(revision, key, revision, 1, 0, value);
      else insert.run(revision, key, Number(before['created']), Number(before['version']) + 1, 0, value);
    };
  },
  head: `SELECT * FROM revisions AS v WHERE key >= ? AND ? > 0 AND
    mod = (SELECT mod FROM revisions AS n WHERE n.key = v.key ORDER BY mod DESC LIMIT 1) ORDER BY key LIMIT 1000`,
  old: `SELECT * FROM revisions AS v WHERE key >= ? AND
    mod = (SELECT mod FROM revisions AS n WHERE n.key = v.key AND mod <= ? ORDER BY mod DESC LIMIT 1) ORDER BY key LIMIT 1000`,
  catchUp(database) {
    const read = database.prepare('SELECT * FROM revisions WHERE mod = ?');
    return (_key, revision) => void read.all(revision);
  },
};

function keyOf(number: number): Buffer {
  return Buffer.from(`packages/section-${number % 100}/${String(number).padStart(8, '0')}`);
}

/** The microseconds of each of `count` runs, with `batch` runs in a transaction. */
function perPut(database: DatabaseSync, count: number, put: (number: number) => void): number {
  const start = performance.now();
  for (let first = 0; first < count; first += batch) {
    database.exec('BEGIN');
    for (let number = first; number < first + batch; number++) put(number);
    database.exec('COMMIT');
  }
  return ((performance.now() - start) * 1000) / count;
}

/** Milliseconds: the median of nine. */
function median(run: (round: number) => void): number {
  const times: number[] = [];
  for (let round = 0; round < 9; round++) {
    const start = performance.now();
    run(round);
    times.push(performance.now() - start);
  }
  return times.sort((left, right) => left - right)[4] ?? 0;
}

function measure(format: Format, valueBytes: number): void {
  const folder = mkdtempSync(join(tmpdir(), 'row-formats-'));
  const file = join(folder, 'store.sqlite');
  const database = new DatabaseSync(file);
  // Only the layout is measured, so no write waits for the disk.
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = -16000');
  database.exec(format.schema);
  const put = format.put(database);
  const value = Buffer.alloc(valueBytes, 0x61);
  const spread = (number: number): Buffer => keyOf((number * 7_919) % keys);
  let revision = 1;
  const createMicroseconds = perPut(database, keys, (number) => put(spread(number), ++revision, value));
  const old = revision;
  const updateMicroseconds = perPut(database, updates, (number) => put(spread(number * 3), ++revision, value));
  const headList = database.prepare(format.head);
  const oldList = database.prepare(format.old);
  const headMilliseconds = median((round) => void headList.all(keyOf(round), revision));
  const oldMilliseconds = median((round) => void oldList.all(keyOf(round), old));
  const catchUp = format.catchUp(database);
  const catchUpMilliseconds = median((round) => {
    for (let step = 0; step < 1_000; step++)
      catchUp(spread((round * 1_000 + step) * 3), old + 1 + round * 1_000 + step);
  });
  database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  console.log(
    [
      format.name.padEnd(3),
      String(valueBytes).padStart(6),
      format.rowsBilled.padStart(9),
      createMicroseconds.toFixed(1).padStart(8),
      updateMicroseconds.toFixed(1).padStart(8),
      headMilliseconds.toFixed(2).padStart(8),
      oldMilliseconds.toFixed(2).padStart(8),
      catchUpMilliseconds.toFixed(2).padStart(8),
      (statSync(file).size / 1_048_576).toFixed(0).padStart(6),
    ].join(' '),
  );
  database.close();
  rmSync(folder, { recursive: true });
}

console.log('    value B  rows c/u  create µs update µs head ms  old ms  catch-up ms  MiB   (1,000 keys each)');
for (const valueBytes of [100, 400, 900, 1_024, 8_192]) {
  for (const format of valueBytes > 2_000 ? [b, e] : [a, b, e, c]) measure(format, valueBytes);
}
