// How the log uses places again: at each edge, and against a log that is a list, with an instance that starts anew
// after every turn.

import { describe, expect, it } from 'vitest';
import { logEntriesKept, logEntriesMax } from '../../src/limits.ts';
import { logIndex, replicaId, term } from '../../src/model/brands.ts';
import { foundingConfiguration } from '../../src/raft/configuration.ts';
import type { Entry } from '../../src/raft/types.ts';
import { LogTable } from '../../src/driver/log-table.ts';
import { Random } from '../support/random.ts';
import { NodeSql } from '../support/node-sql.ts';

const group = foundingConfiguration([{ id: replicaId(1), location: '' }]);

function entryOf(index: number, ofTerm: number, bytes = 1): Entry {
  const data = new Uint8Array(bytes).fill((index + ofTerm) % 256);
  return { index: logIndex(index), term: term(ofTerm), kind: index % 3 === 0 ? 'noop' : 'command', data };
}

/** As many as have so many bytes together, and one in any case. */
function withinBytes(entries: readonly Entry[], bytesMax: number): readonly Entry[] {
  let bytes = 0;
  return entries.filter(({ data }, nth) => (bytes += data.byteLength) <= bytesMax || nth === 0);
}

/** A log, its database, and what the log must be. */
class Checked {
  readonly sql = new NodeSql();
  log = new LogTable(this.sql);
  base = 0;
  baseTerm = 0;
  entries: Entry[] = [];
  #term = 1;

  constructor(liesInPlaces = true) {
    this.log.lieInPlaces(liesInPlaces);
  }

  get last(): number {
    return this.base + this.entries.length;
  }

  append(count: number, bytes = 1): void {
    this.#write(Array.from({ length: count }, (_, place) => entryOf(this.last + 1 + place, this.#term, bytes)));
  }

  /** A new leader's entries take the place of those from that one on. */
  replaceFrom(first: number, count: number): void {
    this.#term++;
    this.#write(Array.from({ length: count }, (_, place) => entryOf(first + place, this.#term)));
  }

  #write(written: readonly Entry[]): void {
    this.sql.turn(() => this.log.write(written));
    const [first] = written;
    if (first !== undefined) this.entries = [...this.entries.slice(0, first.index - this.base - 1), ...written];
    this.check();
  }

  truncate(base: number, rows = 1_000_000): void {
    this.baseTerm = base === this.base ? this.baseTerm : (this.entries[base - this.base - 1]?.term ?? 0);
    this.sql.turn(() => this.log.truncate(logIndex(base), { rows, bytes: 1_000_000 }));
    this.entries = this.entries.slice(base - this.base);
    this.base = base;
    this.check();
  }

  lie(inPlaces: boolean): void {
    this.sql.turn(() => this.log.lieInPlaces(inPlaces));
    this.check();
  }

  /** A snapshot takes the place of what is before that entry. */
  restore(base: number, keep: boolean): void {
    this.baseTerm = keep ? (this.entries[base - this.base - 1]?.term ?? this.baseTerm) : this.#term;
    const position = { index: logIndex(base), term: term(this.baseTerm) };
    this.sql.turn(() => this.log.restore(position, group, { keep }));
    this.entries = keep ? this.entries.slice(base - this.base) : [];
    this.base = base;
    this.check();
  }

  /** This instance, and one that starts now, have what the log must be. */
  check(): void {
    for (const log of [this.log, new LogTable(this.sql)]) {
      const { base, last, entries } = this;
      expect([log.base().index, log.lastIndex()]).toEqual([base, last]);
      expect(log.term(logIndex(base))).toBe(this.baseTerm);
      expect(log.size).toEqual({
        entries: entries.length,
        bytes: entries.reduce((sum, { data }) => sum + data.byteLength, 0),
      });
      if (entries.length > 0) expect(log.entries(logIndex(base + 1), logIndex(last), 1e9)).toEqual(entries);
      for (const [nth, entry] of entries.entries()) {
        if (nth % 5 === 0) expect(log.term(entry.index)).toBe(entry.term);
        if (nth === 3) expect(log.entries(entry.index, logIndex(last), 60)).toEqual(withinBytes(entries.slice(3), 60));
      }
      expect(log.hasCommandAfter(logIndex(base))).toBe(entries.some(({ kind }) => kind === 'command'));
      expect(log.indexAfter({ bytes: 1, entries: 10 })).toBe(entries.length === 0 ? base : base + 1);
      expect(log.indexAfter({ bytes: 1e9, entries: 3 })).toBe(base + Math.min(3, entries.length));
    }
  }

  get rows(): number {
    return Number(this.sql.all('SELECT count(*) FROM log_places')[0]?.[0]);
  }

  changedBy(work: () => void): number {
    const changes = (): number => Number(this.sql.all('SELECT total_changes()')[0]?.[0]);
    const before = changes();
    work();
    return changes() - before;
  }
}

describe('GROUP-LOG-1: entries are written over those that the log does not need any more', () => {
  it('one row for each, and one for each cut, in places that were freed before', () => {
    const checked = new Checked();
    checked.append(20);
    expect(checked.changedBy(() => checked.truncate(15))).toBe(1);
    expect(checked.changedBy(() => checked.append(15))).toBe(15);
    expect(checked.rows).toBe(20);
    for (let round = 0; round < 10; round++) {
      checked.truncate(checked.last - 5);
      expect(checked.changedBy(() => checked.append(15))).toBe(15);
    }
    expect(checked.rows).toBe(20);
  });

  it('also where a place had a much larger entry, or has a much larger one now', () => {
    const checked = new Checked();
    checked.append(3, 50_000);
    checked.append(3);
    checked.truncate(5);
    expect(checked.log.diskBytes).toBe(150_003);
    checked.append(4, 10);
    checked.append(2, 60_000);
    expect(checked.rows).toBe(7);
    expect(checked.log.diskBytes).toBe(120_041);
  });
});

it('GROUP-LOG-2: an entry that the log still has keeps its place, and the log grows', () => {
  const checked = new Checked();
  checked.append(10);
  checked.truncate(4);
  // Four places are free, and six entries are held for a receiver.
  checked.append(9);
  expect(checked.rows).toBe(15);
  checked.truncate(5);
  checked.append(2);
  expect(checked.rows).toBe(16);
});

describe('GROUP-LOG-3: what is cut at the end is deleted', () => {
  it('over the end of the places that are used again, and up to their beginning', () => {
    for (const first of [9, 10, 11, 12, 13, 15, 16]) {
      const checked = new Checked();
      checked.append(10);
      checked.truncate(8);
      // Entries 11 to 16 lie in places 1 to 6, after 9 and 10 in places 9 and 10.
      checked.append(6);
      checked.replaceFrom(first, 1);
      checked.append(3);
      checked.truncate(checked.last - 1);
      checked.append(20);
    }
  });

  it('also the whole log, and also entries that lie by their index', () => {
    const checked = new Checked(false);
    checked.append(6);
    checked.lie(true);
    checked.append(6);
    checked.replaceFrom(10, 1);
    checked.replaceFrom(7, 2);
    checked.replaceFrom(4, 5);
    checked.replaceFrom(1, 1);
  });

  it('a turn that throws half-way leaves what was before it', () => {
    const checked = new Checked();
    checked.append(10);
    checked.truncate(8);
    const turn = (): void =>
      checked.sql.turn(() => {
        checked.log.write([entryOf(9, 7), entryOf(10, 7), entryOf(11, 7)]);
        throw new Error('crashed');
      });
    expect(turn).toThrow('crashed');
    checked.log = new LogTable(checked.sql);
    checked.check();
  });
});

describe('GROUP-LOG-4: free places are kept up to a bound of rows and of bytes', () => {
  it('logEntriesMax + logEntriesKept rows in all, and not one more', () => {
    const bound = logEntriesMax + logEntriesKept;
    for (const more of [0, 1]) {
      const checked = new Checked();
      const entries = Array.from({ length: bound + more }, (_, place) => entryOf(place + 1, 1));
      checked.sql.turn(() => checked.log.write(entries));
      checked.sql.turn(() => checked.log.truncate(logIndex(entries.length - 10)));
      expect(checked.rows).toBe(bound);
    }
  });

  it('by bytes, and never an entry of the log', () => {
    const checked = new Checked();
    checked.append(10, 200_000);
    checked.truncate(2);
    // Of 2,000,000 bytes on disk 1,600,000 are needed, and the bound is a million.
    expect(checked.rows).toBe(8);
    checked.truncate(6);
    expect(checked.rows).toBe(5);
    expect(checked.log.diskBytes).toBe(1_000_000);
  });
});

describe('GROUP-LOG-5: the log changes its format with the level', () => {
  it('a log of the first format is read, and is cut as before, while new entries use places', () => {
    const checked = new Checked(false);
    checked.append(10);
    expect(checked.changedBy(() => checked.lie(true))).toBe(1);
    checked.append(5);
    expect(checked.rows).toBe(5);
    checked.truncate(8);
    checked.truncate(12);
    expect(checked.sql.all('SELECT count(*) FROM log')).toEqual([[0]]);
  });

  it('and back: all entries lie by their index, in order, and the format says so', () => {
    const checked = new Checked(false);
    checked.append(5);
    checked.lie(true);
    checked.append(10);
    checked.truncate(3);
    checked.append(4);
    checked.truncate(9);
    checked.append(9);
    checked.lie(false);
    expect(checked.sql.all('SELECT format FROM hard_state')).toEqual([[1]]);
    const indexes = checked.sql.all('SELECT log_index FROM log ORDER BY log_index').map(([index]) => index);
    expect(indexes).toEqual(checked.entries.map(({ index }) => index));
    expect(checked.rows).toBe(0);
    checked.append(2);
    checked.lie(true);
    checked.append(2);
  });

  it('a snapshot leaves the first format, with the entries that are kept or with none', () => {
    for (const keep of [true, false]) {
      const checked = new Checked();
      checked.append(10);
      checked.truncate(4);
      checked.append(6);
      checked.restore(keep ? 12 : 30, keep);
      expect(checked.log.liesInPlaces).toBe(false);
      checked.append(3);
      checked.lie(true);
      checked.append(3);
    }
  });

  it('a log of a newer format is refused', () => {
    const { sql } = new Checked();
    sql.run('UPDATE hard_state SET format = 3');
    expect(() => new LogTable(sql)).toThrow('format 3');
  });
});

it('GROUP-LOG-6: a log that grows and shrinks by little is that of a list, however its places are mixed', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = new Random(seed);
    const checked = new Checked();
    for (let step = 0; step < 150; step++) {
      if (random.below(2) === 0) checked.append(1 + random.below(4));
      else checked.truncate(checked.base + random.below(Math.min(6, checked.entries.length + 1)));
    }
    checked.sql.close();
  }
});

it('GROUP-LOG-6: whatever is written, cut and opened anew, the log is that of a list', () => {
  for (let seed = 1; seed <= 30; seed++) {
    const random = new Random(seed);
    const checked = new Checked(random.below(2) === 0);
    for (let step = 0; step < 60; step++) {
      const kind = random.below(12);
      if (kind < 5) checked.append(1 + random.below(8), 1 + random.below(50));
      else if (kind < 8)
        checked.truncate(checked.base + random.below(checked.entries.length + 1), 5 + random.below(20));
      else if (kind < 10 && checked.entries.length > 0) {
        checked.replaceFrom(checked.base + 1 + random.below(checked.entries.length), 1 + random.below(6));
      } else if (kind === 10) checked.lie(random.below(3) > 0);
      else if (random.below(4) === 0) checked.restore(checked.last + 1 + random.below(5), false);
      else checked.log = new LogTable(checked.sql);
    }
    checked.sql.close();
  }
});
