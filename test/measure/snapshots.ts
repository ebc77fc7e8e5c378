// Measures snapshots between two databases in files, on Node's SQLite: pages read and written a second, and the swap at
// the end, which replaces a store as large. Run by `node --disable-warning=ExperimentalWarning
// test/measure/snapshots.ts`.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { logIndex } from '../../src/model/brands.ts';
import { snapshotRowsBytes } from '../../src/limits.ts';
import type { Command } from '../../src/model/store.ts';
import { openSnapshot, snapshotPage } from '../../src/mvcc/snapshot/snapshot-source.ts';
import { SnapshotSink } from '../../src/mvcc/snapshot/snapshot-sink.ts';
import { Fed, put, service } from '../mvcc/requests.ts';
import { NodeSql } from '../support/node-sql.ts';

const storeBytes = 200 * 1_048_576;
const megabyte = 1_000_000;
const directory = mkdtempSync(join(tmpdir(), 'snapshots-'));

function inFile(name: string): NodeSql {
  const sql = new NodeSql(join(directory, name));
  sql.database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL');
  return sql;
}

function fill(sql: NodeSql, valueBytes: number): Fed {
  const fed = new Fed(sql);
  const value = new Uint8Array(valueBytes).fill(0x76);
  const entryPuts = Math.min(2_000, Math.ceil(megabyte / valueBytes));
  for (let first = 0; sql.databaseBytes() < storeBytes; first += entryPuts) {
    const commands = Array.from({ length: entryPuts }, (_, n): Command => {
      const key = `k/${String(first + n).padStart(9, '0')}`;
      return { writeId: key, caller: service, atMs: 1, operation: put(key, value) };
    });
    sql.transaction(() => fed.store.apply(logIndex(++fed.index), commands));
  }
  return fed;
}

function measure(valueBytes: number): void {
  const source = fill(inFile(`source-${valueBytes}`), valueBytes);
  const sql = inFile(`receiver-${valueBytes}`);
  fill(sql, valueBytes);
  const openedAt = performance.now();
  const { name, head } = openSnapshot(source.sql, source.store);
  const opening = performance.now() - openedAt;
  const sink = new SnapshotSink(sql);
  sink.begin(name, head);
  let [reading, writing, pages, bytes, longest] = [0, 0, 0, 0, 0];
  let cursor: Uint8Array | null = null;
  do {
    const readAt = performance.now();
    const read = snapshotPage(source.sql, name, cursor, snapshotRowsBytes);
    const writtenAt = performance.now();
    sink.write(read.page, read.next);
    const endedAt = performance.now();
    reading += writtenAt - readAt;
    writing += endedAt - writtenAt;
    longest = Math.max(longest, writtenAt - readAt, endedAt - writtenAt);
    pages++;
    bytes += read.page.byteLength;
    cursor = read.next;
  } while (cursor !== null);
  const finishAt = performance.now();
  sink.finish();
  const finishing = performance.now() - finishAt;
  const copy = new Fed(sql);
  if (copy.store.revision !== source.store.revision) throw new Error('the copy is not the source');
  const rate = (milliseconds: number): string =>
    `${Math.round((pages * 1_000) / milliseconds)} pages/s, ${Math.round(bytes / megabyte / (milliseconds / 1_000))} MB/s`;
  console.log(`values of ${valueBytes} B: ${pages} pages, ${Math.round(bytes / megabyte)} MB of them,`);
  console.log(
    `  of a store of ${Math.round(source.sql.databaseBytes() / megabyte)} MB; opened in ${opening.toFixed(1)} ms`,
  );
  console.log(`  read ${rate(reading)}; written ${rate(writing)}; together ${rate(reading + writing)}`);
  console.log(`  longest turn ${longest.toFixed(0)} ms; swapped in after ${finishing.toFixed(0)} ms`);
}

for (const valueBytes of [100, 10_240]) measure(valueBytes);
rmSync(directory, { recursive: true });
