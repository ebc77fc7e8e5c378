// The watches of streams that do not fit the attachments of their sockets: a row for each watch, in a table of this
// object's own that is no part of the replicated store. Rows live as long as their socket. A crash ends all sockets, so
// the rows that it left are deleted at the next start.

import { assert } from '../../base/assert.ts';
import { watchRowsBytesMax } from '../../limits.ts';
import { hasTable, type SqlPort } from '../../base/sql-port.ts';
import { decodeWatch, encodeWatch } from './watch-attachment.ts';
import type { SavedWatch } from './watch-channel.ts';

/** A row of another form gets a table of another name. */
const table = 'watches_of_streams';

/** A watch as a row has it. `next` 0: the watch is up to date, and the attachment says what all such watches need. */
type Kept = { readonly place: number; readonly start: number; readonly next: number; readonly bytes: number };

export class WatchRows {
  readonly #sql: SqlPort;
  #hasTable: boolean;
  #nextStream = 1;
  #bytes = 0;

  /** This writes nothing. */
  constructor(sql: SqlPort) {
    this.#sql = sql;
    this.#hasTable = hasTable(sql, table);
    if (!this.#hasTable) return;
    const [row] = sql.all(`SELECT COALESCE(MAX(stream), 0) + 1, COALESCE(SUM(LENGTH(watch)), 0) FROM ${table}`);
    this.#nextStream = Number(row?.[0]);
    this.#bytes = Number(row?.[1]);
  }

  /** Whether so many bytes more may be held: they are in memory, too. */
  hasRoom(bytes: number): boolean {
    return this.#bytes + bytes <= watchRowsBytesMax;
  }

  /** The rows of a stream that has none yet. */
  begin(): StreamRows {
    if (!this.#hasTable) {
      this.#sql.run(
        `CREATE TABLE ${table} (stream INTEGER, place INTEGER, watch BLOB NOT NULL, PRIMARY KEY (stream, place)) WITHOUT ROWID`,
      );
      this.#hasTable = true;
    }
    return new StreamRows(this.#sql, this.#nextStream++, (bytes) => (this.#bytes += bytes));
  }

  /** The rows of a stream that slept, and what it watches. `next` is the result of `StreamRows.save`. */
  resume(stream: number, next: number): { readonly rows: StreamRows; readonly watches: readonly SavedWatch[] } {
    const rows = new StreamRows(this.#sql, stream, (bytes) => (this.#bytes += bytes));
    return { rows, watches: this.#hasTable ? rows.load(next) : [] };
  }

  /** Deletes the rows of every other stream: their sockets are gone. */
  sweep(streams: ReadonlySet<number>): void {
    if (!this.#hasTable) return;
    for (const [stream] of this.#sql.all(`SELECT DISTINCT stream FROM ${table}`)) {
      if (!streams.has(Number(stream))) this.resume(Number(stream), 0).rows.delete();
    }
  }
}

export class StreamRows {
  readonly stream: number;
  readonly #sql: SqlPort;
  readonly #count: (bytes: number) => void;
  readonly #kept = new Map<bigint, Kept>();
  #nextPlace = 0;

  constructor(sql: SqlPort, stream: number, count: (bytes: number) => void) {
    this.#sql = sql;
    this.stream = stream;
    this.#count = count;
  }

  /**
   * Writes what is not written yet: a row for a watch that came, went or fell behind, and nothing for those that are up
   * to date. Returns what these need next, which the attachment keeps.
   */
  save(watches: readonly SavedWatch[]): number {
    const next = Math.max(0, ...watches.filter(({ start }) => start === 0).map((watch) => watch.next));
    for (const watch of watches) this.#write(watch.next === next ? { ...watch, next: 0 } : watch);
    if (this.#kept.size > watches.length) this.#removeOthers(new Set(watches.map(({ id }) => id)));
    return next;
  }

  /** The watches in the order in which they were created. */
  load(next: number): readonly SavedWatch[] {
    const watches: SavedWatch[] = [];
    for (const [place, bytes] of this.#sql.all(
      `SELECT place, watch FROM ${table} WHERE stream = ? ORDER BY place`,
      this.stream,
    )) {
      assert(bytes instanceof Uint8Array, 'a row of a watch holds bytes');
      const watch = decodeWatch(bytes);
      const { id, start } = watch;
      this.#kept.set(id, { place: Number(place), start, next: watch.next, bytes: bytes.byteLength });
      this.#nextPlace = Number(place) + 1;
      watches.push(watch.next === 0 ? { ...watch, next } : watch);
    }
    return watches;
  }

  /** The stream has ended. */
  delete(): void {
    this.#sql.run(`DELETE FROM ${table} WHERE stream = ?`, this.stream);
    for (const { bytes } of this.#kept.values()) this.#count(-bytes);
    this.#kept.clear();
  }

  #write(watch: SavedWatch): void {
    const { id, start, next } = watch;
    const kept = this.#kept.get(id);
    if (kept !== undefined && kept.start === start && kept.next === next) return;
    const place = kept?.place ?? this.#nextPlace++;
    const bytes = encodeWatch(watch);
    this.#sql.run(`INSERT OR REPLACE INTO ${table} VALUES (?, ?, ?)`, this.stream, place, bytes);
    this.#kept.set(id, { place, start, next, bytes: bytes.byteLength });
    this.#count(bytes.byteLength - (kept?.bytes ?? 0));
  }

  #removeOthers(ids: ReadonlySet<bigint>): void {
    for (const [id, { place, bytes }] of this.#kept) {
      if (ids.has(id)) continue;
      this.#sql.run(`DELETE FROM ${table} WHERE stream = ? AND place = ?`, this.stream, place);
      this.#kept.delete(id);
      this.#count(-bytes);
    }
  }
}
