// How long a log gets, for which receivers it is held and for how long, and how much of it is applied at once.

import { describe, expect, it } from 'vitest';
import { logIndex, type LogIndex, replicaId, term } from '../../src/model/brands.ts';
import {
  appendEntriesMax,
  logBytesKept,
  logBytesMax,
  logEntriesKept,
  logEntryBytesMax,
  proposalSpacingMs,
  logEntriesMax,
  logHeldBytesMin,
  logPatience,
  quotaBytesDefault,
  snapshotIdleTicks,
  truncatedBytesMax,
  truncatedEntriesMax,
} from '../../src/limits.ts';
import { encodeCommands } from '../../src/mvcc/codec/command-codec.ts';
import { foundingConfiguration } from '../../src/raft/configuration.ts';
import type { Operation } from '../../src/model/store.ts';
import { Driver } from '../../src/driver/driver.ts';
import { LogTable } from '../../src/driver/log-table.ts';
import { firstHeld, type LogBounds, truncationPoint, usualBounds } from '../../src/driver/log-truncation.ts';
import type { Write } from '../../src/driver/proposals.ts';
import { SnapshotSender } from '../../src/driver/snapshot-sender.ts';
import type { SnapshotMessage } from '../../src/driver/snapshot-messages.ts';
import { compact, Fed, put, range, service, shown } from '../mvcc/requests.ts';
import { NodeSql } from '../support/node-sql.ts';
import { quietPort } from '../support/quiet-port.ts';

const megabyte = 1_048_576;

/** Appends entries of this many bytes. */
function grow(log: LogTable, count: number, bytes = 1): void {
  const first = log.lastIndex() + 1;
  const data = new Uint8Array(bytes);
  log.write(
    Array.from({ length: count }, (_, place) => ({
      index: logIndex(first + place),
      term: term(1),
      kind: 'command',
      data,
    })),
  );
}

function logOf(count: number, bytes = 1): LogTable {
  const log = new LogTable(new NodeSql());
  grow(log, count, bytes);
  return log;
}

type Needs = Partial<Parameters<typeof truncationPoint>[1]>;

/**
 * Truncates as a replica does at its ticks, until nothing is left to do. Returns how many entries were cut at each
 * tick.
 */
function truncated(log: LogTable, needs: Needs = {}): readonly number[] {
  const steps: number[] = [];
  for (;;) {
    const all = { persisted: log.lastIndex(), held: null, leastMatch: null, ...needs };
    const point = truncationPoint(log, all, usualBounds);
    if (point === null) return steps;
    steps.push(point - log.base().index);
    log.truncate(point);
  }
}

describe('REBUILD-5: a log that is too long goes down to what is kept, a part at a tick', () => {
  it('by entries', () => {
    const log = logOf(logEntriesMax);
    expect(truncated(log)).toEqual([]);
    grow(log, 1);
    expect(truncated(log)).toEqual([logEntriesMax + 1 - logEntriesKept]);
    expect(log.size).toEqual({ entries: logEntriesKept, bytes: logEntriesKept });
  });

  it('by bytes', () => {
    const log = logOf(logBytesMax / megabyte, megabyte);
    expect(truncated(log)).toEqual([]);
    grow(log, 1);
    expect(truncated(log)).toEqual([(logBytesMax - logBytesKept) / megabyte + 1]);
    expect(log.size.bytes).toBe(logBytesKept - megabyte + 1);
  });

  it('one that was held for long goes in steps, and its bytes are known all the while', () => {
    const log = logOf(2 * truncatedEntriesMax + logEntriesMax + 1, 2);
    expect(truncated(log)).toEqual([truncatedEntriesMax, truncatedEntriesMax, logEntriesMax + 1 - logEntriesKept]);
    expect(log.size).toEqual({ entries: logEntriesKept, bytes: 2 * logEntriesKept });
    const large = logOf((2 * truncatedBytesMax) / megabyte, megabyte);
    expect(truncated(large)).toEqual([truncatedBytesMax / megabyte]);
  });

  it('but nothing that the store would start again from, and what a member lacks stays for a while', () => {
    const log = logOf(logPatience * logEntriesMax);
    expect(truncated(log, { persisted: logIndex(10) })).toEqual([10]);
    expect(truncated(log, { leastMatch: logIndex(20) })).toEqual([10]);
    grow(log, 21);
    expect(truncated(log, { leastMatch: logIndex(20) })[0]).toBe(truncatedEntriesMax);
  });
});

const one = replicaId(1);
const receiver = replicaId(2);
const other = replicaId(3);

/** A replica that sends snapshots. Each of its entries is a put. */
class Source {
  readonly fed = new Fed(new NodeSql());
  readonly log = new LogTable(this.fed.sql);
  readonly sender = new SnapshotSender({
    sql: this.fed.sql,
    store: this.fed.store,
    log: {
      base: () => this.log.base(),
      lastIndex: () => this.log.lastIndex(),
      termAt: () => term(1),
      configurationAt: () => foundingConfiguration([{ id: one, location: '' }]),
    },
    bounds: { ...usualBounds, snapshotRowsBytes: 1 },
    storeBytes: () => this.storeBytes,
  });
  storeBytes = 0;
  /** The indexes up to which other replicas are known to agree. */
  readonly matches = new Map<number, LogIndex>();

  put(count: number): void {
    for (let each = 0; each < count; each++) {
      this.fed.put(`k/${each}`);
      grow(this.log, 1);
    }
  }

  tick(count = 1): void {
    for (; count > 0; count--) this.sender.tick((replica) => this.matches.get(replica) ?? null);
  }

  /** Asks for the part after this cursor. Null: asks for a snapshot. */
  ask(after: SnapshotMessage | null, from = receiver): SnapshotMessage {
    const sides = { kind: 'snapshotAsk', from, to: one } as const;
    if (after?.kind !== 'snapshotPart' || after.next === null) {
      return this.sender.answer({ ...sides, name: null, point: { kind: 'head', part: 0 } });
    }
    return this.sender.answer({ ...sides, name: after.name, point: after.next });
  }

  /** Asks until the last part. */
  transfer(): void {
    let part = this.ask(null);
    while (part.kind === 'snapshotPart' && part.next !== null) part = this.ask(part);
    expect(part.kind).toBe('snapshotPart');
  }
}

describe('REBUILD-6: the log is held for who takes a snapshot', () => {
  it('and then what was written meanwhile, until as little is left as is kept', () => {
    const source = new Source();
    source.put(10);
    source.transfer();
    source.put(logEntriesKept + 10);
    expect(source.sender.heldIndex).toBe(10);
    expect(source.fed.store.holdsHistory).toBe(true);
    source.matches.set(receiver, logIndex(10));
    source.tick();
    // The rows are not needed any more, but the log is.
    expect([source.sender.heldIndex, source.fed.store.holdsHistory]).toEqual([10, false]);
    source.matches.set(receiver, logIndex(19));
    source.tick();
    expect(source.sender.heldIndex).toBe(19);
    source.matches.set(receiver, logIndex(20));
    source.tick();
    expect([source.sender.heldIndex, source.sender.isActive]).toEqual([null, false]);
  });

  it('for all who do, from where the one is that is least far', () => {
    const source = new Source();
    source.put(10);
    const part = source.ask(null);
    source.put(10);
    source.ask(null, other);
    expect(source.sender.heldIndex).toBe(10);
    source.sender.giveUp(logIndex(11));
    expect(source.sender.heldIndex).toBe(20);
    expect(source.ask(part).kind).toBe('snapshotPart');
    expect(source.sender.heldIndex).toBe(10);
  });

  it('up to the bytes that the store had, and as many as were left of its quota, but logHeldBytesMin', () => {
    const quota = quotaBytesDefault;
    const least = logHeldBytesMin;
    const sizes = [0, least, least + 1, quota / 2, quota / 2 + 1, quota - least - 1, quota - least, quota + 1];
    const expected = [least, least, least + 1, quota / 2, quota / 2 - 1, least + 1, least, least];
    expect(sizes.map(usualBounds.logHeldBytesMax)).toEqual(expected);
    const log = logOf(10, 10);
    const first = (bytesMax: number): LogIndex | null => firstHeld(log, bytesMax, usualBounds);
    expect(first(100)).toBeNull();
    grow(log, 1, 1);
    expect([first(100), first(101)]).toEqual([1, null]);
    grow(log, 1, 29);
    expect([first(100), first(119), first(120), first(130)]).toEqual([3, 2, 1, null]);
    const many = logOf(truncatedEntriesMax + 1);
    expect(firstHeld(many, 0, usualBounds)).toBe(truncatedEntriesMax);
  });

  it('each by the store of when it began', () => {
    const source = new Source();
    source.put(10);
    source.storeBytes = logHeldBytesMin + 2;
    source.ask(null);
    source.storeBytes = logHeldBytesMin + 1;
    source.ask(null, other);
    expect(source.sender.heldBytesMax).toBe(logHeldBytesMin + 2);
    source.matches.set(receiver, logIndex(10));
    source.put(logEntriesKept + 1);
    source.tick();
    expect(source.sender.heldBytesMax).toBe(logHeldBytesMin + 2);
    source.matches.set(receiver, logIndex(11));
    source.tick();
    expect(source.sender.heldBytesMax).toBe(logHeldBytesMin + 1);
    source.sender.giveUp(source.log.lastIndex());
    expect(source.sender.heldBytesMax).toBe(0);
  });
});

describe('REBUILD-7: a snapshot that is held too long, or that nobody takes, is given up', () => {
  it('its receiver is told so once the log has gone on, and begins anew', () => {
    const source = new Source();
    source.put(10);
    const part = source.ask(null);
    source.put(10);
    source.sender.giveUp(logIndex(11));
    expect([source.sender.isActive, source.fed.store.holdsHistory]).toEqual([false, false]);
    source.log.truncate(logIndex(11));
    expect(source.ask(part)).toMatchObject({ kind: 'snapshotGone', name: { index: 10 } });
    expect(source.ask(null)).toMatchObject({ kind: 'snapshotPart', name: { index: 20 } });
    expect(source.sender.heldIndex).toBe(20);
  });

  it('one that goes up to where the log begins is not', () => {
    const source = new Source();
    source.put(10);
    source.ask(null);
    source.sender.giveUp(logIndex(10));
    expect(source.sender.heldIndex).toBe(10);
  });

  it('nor is anything held for a receiver that is silent, or stands still on the log', () => {
    const source = new Source();
    source.put(10);
    const part = source.ask(null);
    source.tick(snapshotIdleTicks);
    source.ask(part);
    source.tick(snapshotIdleTicks);
    expect(source.sender.heldIndex).toBe(10);
    source.tick();
    expect([source.sender.isActive, source.fed.store.holdsHistory]).toEqual([false, false]);
    source.transfer();
    source.put(logEntriesKept + 10);
    source.matches.set(receiver, logIndex(10));
    source.tick(snapshotIdleTicks);
    source.matches.set(receiver, logIndex(11));
    source.tick(snapshotIdleTicks);
    expect(source.sender.heldIndex).toBe(11);
    source.tick(2);
    expect(source.sender.isActive).toBe(false);
  });

  it('the rows of one that is taken stay, whatever is compacted, and others go', () => {
    const source = new Source();
    for (let round = 0; round < 5; round++) source.put(5);
    const part = source.ask(null);
    source.put(5);
    source.fed.do(compact(source.fed.store.revision));
    source.fed.sweep();
    // Twenty entries are in the snapshot, and none is newer than it.
    expect(source.fed.sql.all('SELECT count(*), max(mod) FROM superseded')).toEqual([[25, 26]]);
    expect(source.ask(part).kind).toBe('snapshotPart');
    source.sender.giveUp(source.log.lastIndex());
    source.put(1);
    source.sender.giveUp(source.log.lastIndex());
    source.fed.sweep();
    expect(source.ask(part).kind).toBe('snapshotGone');
  });
});

/**
 * A replica whose log holds these entries, and which knows that all but the last are committed. `asked`: how often it
 * has asked for another turn.
 */
function replicaOf(
  operations: readonly Operation[],
  bounds: LogBounds = usualBounds,
): { readonly driver: Driver; readonly asked: () => number } {
  const sql = new NodeSql();
  const log = new LogTable(sql);
  const entries = operations.map((operation, place) => {
    const data = encodeCommands([{ writeId: String(place), caller: service, operation, atMs: 1 }]);
    return { index: logIndex(place + 1), term: term(1), kind: 'command', data } as const;
  });
  log.write(entries);
  log.writeHardState({ term: term(1), votedFor: null, commit: logIndex(entries.length - 1) });
  let asked = 0;
  const driver = new Driver({
    id: receiver,
    founding: foundingConfiguration([one, receiver, other].map((id) => ({ id, location: '' }))),
    sql,
    bounds,
    random: () => 0.5,
    electionTimeoutTicks: 10,
    heartbeatTicks: 1,
    port: { ...quietPort, applySoon: () => void asked++ },
  });
  return { driver, asked: () => asked };
}

it('REBUILD-8: a turn applies at most appendEntriesMax entries, and the others come with the next ones', () => {
  const count = 2 * appendEntriesMax + 2;
  const { driver, asked } = replicaOf(Array.from({ length: count }, (_, place) => put('k', String(place))));
  const applied: (readonly [number, number])[] = [];
  for (let turn = 0; turn < 4; turn++) {
    driver.goOn();
    applied.push([driver.store.appliedIndex, asked()]);
  }
  expect(applied).toEqual([
    [appendEntriesMax, 1],
    [2 * appendEntriesMax, 2],
    [count - 1, 2],
    [count - 1, 2],
  ]);
  const read = driver.store.range(range('k'));
  expect(read.kind === 'answer' && shown(read.answer.kvs)).toEqual([`k=${count - 2}@${count}`]);
});

// A command counts one row, a key that is written counts four, and the reads of the transaction come to these.
const rowsOfPut = 5;

it('GROUP-WORK-3: a turn applies entries until they took more than turnRowsMax, and the others come with the next ones', () => {
  const operations = Array.from({ length: 8 }, (_, place) => put('k', String(place)));
  const bounds = { ...usualBounds, turnRowsMax: 2 * rowsOfPut };
  const { driver, asked } = replicaOf(operations, bounds);
  const applied: (readonly [number, number])[] = [];
  for (let turn = 0; turn < 4; turn++) {
    driver.goOn();
    applied.push([driver.store.appliedIndex, asked()]);
  }
  expect(applied).toEqual([
    [3, 1],
    [6, 2],
    [7, 2],
    [7, 2],
  ]);
});

it('GROUP-WORK-3: who waits for an entry that is left to be applied is answered by a later turn, or told that nobody knows', () => {
  let [goesOn, clockMs] = [0, 0];
  const driver = new Driver({
    id: one,
    founding: foundingConfiguration([{ id: one, location: '' }]),
    sql: new NodeSql(),
    bounds: { ...usualBounds, turnRowsMax: 1 },
    random: () => 0.5,
    electionTimeoutTicks: 10,
    heartbeatTicks: 1,
    port: {
      ...quietPort,
      applySoon: () => void goesOn++,
      // Each entry is proposed as soon as it may be, so they are committed together.
      nowMs: () => (clockMs += proposalSpacingMs),
    },
  });
  driver.campaign();
  const results: string[] = [];
  const writes = Array.from({ length: 4 }, (_, n): Write => ({
    request: { writeId: `w${n}`, caller: service, operation: put('k', new Uint8Array(logEntryBytesMax / 2)) },
    settle: ({ kind }) => results.push(kind),
  }));
  driver.submit(writes, []);
  expect([results, goesOn]).toEqual([['applied'], 1]);
  driver.goOn();
  expect([results, goesOn]).toEqual([['applied', 'applied'], 2]);
  driver.stop('it ends');
  expect(results).toEqual(['applied', 'applied', 'unknown', 'unknown']);
});
