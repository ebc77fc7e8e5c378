import { describe, expect, it } from 'vitest';
import { AssertionError } from '../../src/base/assert.ts';
import { logIndex, replicaId, term } from '../../src/model/brands.ts';
import { emptyBytes } from '../../src/base/bytes.ts';
import { logCacheBytesMax } from '../../src/limits.ts';
import { foundingConfiguration } from '../../src/raft/configuration.ts';
import { type PartBounds, RaftLog } from '../../src/raft/log.ts';
import type { Entry } from '../../src/raft/types.ts';
import { Disk } from './host.ts';

const founding = foundingConfiguration([{ id: replicaId(1), location: '' }]);

function entry(index: number, entryTerm: number, data: Uint8Array = emptyBytes): Entry {
  return { index: logIndex(index), term: term(entryTerm), kind: 'command', data };
}

function logOf(terms: readonly number[], commit = 0): { log: RaftLog; disk: Disk } {
  const disk = new Disk();
  disk.preset(terms, { term: 9, commit });
  return { log: new RaftLog(disk, founding, disk.hardState, disk.applied), disk };
}

/** Writes the new entries, as a host does. */
function save(log: RaftLog, disk: Disk): void {
  disk.write({ hardState: null, entries: log.takeUnpersisted(), committed: log.takeCommitted(upTo(Infinity)) });
  log.markPersisted();
}

const upTo = (bytes: number): PartBounds => ({ bytes, entries: Infinity });
const indexes = (entries: readonly Entry[]): number[] => entries.map(({ index }) => index);

describe('the log', () => {
  it('RAFT-23: keeps what matches, and replaces from the first conflict on', () => {
    const { log } = logOf([1, 1, 2, 2]);
    log.accept([entry(2, 1), entry(3, 2)]);
    expect(log.lastIndex).toBe(4);
    expect(log.hasUntaken).toBe(false);
    log.accept([entry(3, 2), entry(4, 3), entry(5, 3)]);
    expect([log.lastIndex, log.term(logIndex(3)), log.term(logIndex(4)), log.lastTerm]).toEqual([5, 2, 3, 3]);
    expect(indexes(log.takeUnpersisted())).toEqual([4, 5]);
  });

  it('RAFT-23: what was taken and then replaced is not marked as persisted', () => {
    const { log } = logOf([1]);
    log.append(entry(2, 2));
    log.append(entry(3, 2));
    log.takeUnpersisted();
    log.accept([entry(2, 3)]);
    log.markPersisted();
    expect(log.persisted).toBe(1);
    expect(indexes(log.takeUnpersisted())).toEqual([2]);
  });

  it('RAFT-23: what was on disk and is replaced counts as persisted only once it is written again', () => {
    const { log } = logOf([1, 1, 1]);
    log.accept([entry(2, 2)]);
    expect(log.persisted).toBe(1);
    log.takeUnpersisted();
    log.markPersisted();
    expect(log.persisted).toBe(2);
  });

  it('RAFT-24: a committed entry is never overwritten', () => {
    const { log } = logOf([1, 1, 2]);
    log.commitTo(logIndex(3));
    log.accept([entry(3, 2)]);
    log.append(entry(4, 2));
    log.commitTo(logIndex(4));
    expect(() => log.accept([entry(4, 3)])).toThrow(AssertionError);
  });

  it('RAFT-24: nothing is committed beyond the log, no entry leaves a hole, terms do not fall', () => {
    const { log } = logOf([1, 2]);
    expect(() => log.commitTo(logIndex(3))).toThrow(AssertionError);
    expect(() => log.append(entry(4, 2))).toThrow(AssertionError);
    expect(() => log.append(entry(3, 1))).toThrow(AssertionError);
    expect(log.commit).toBe(0);
  });

  it.each([
    { lastIndex: 2, lastTerm: 3, granted: true },
    { lastIndex: 3, lastTerm: 2, granted: true },
    { lastIndex: 4, lastTerm: 2, granted: true },
    { lastIndex: 2, lastTerm: 2, granted: false },
    { lastIndex: 9, lastTerm: 1, granted: false },
  ])('RAFT-25: the last term decides who is complete, then the length: $lastIndex@$lastTerm', (candidate) => {
    const { log } = logOf([1, 1, 2]);
    expect(log.isUpToDate(logIndex(candidate.lastIndex), term(candidate.lastTerm))).toBe(candidate.granted);
  });

  it('RAFT-26: finds where two logs could agree, whatever their terms', () => {
    const terms = [1, 1, 4, 4, 5, 5, 6];
    const { log } = logOf(terms);
    for (let index = 0; index <= 9; index++) {
      for (let at = 0; at <= 7; at++) {
        let expected = Math.min(index, terms.length);
        while (expected > 0 && (terms[expected - 1] ?? 0) > at) expected--;
        expect(log.fit(logIndex(index), term(at)).index).toBe(expected);
      }
    }
  });

  it('RAFT-27: memory stays within logCacheBytesMax once entries are on disk, and what was dropped is read from disk', () => {
    const { log, disk } = logOf([]);
    const data = new Uint8Array(logCacheBytesMax / 8 - 64);
    for (let index = 1; index <= 8; index++) log.append(entry(index, 1, data));
    save(log, disk);
    log.slice(logIndex(1), upTo(1));
    expect(disk.reads).toBe(0);
    log.append(entry(9, 1));
    expect(indexes(log.slice(logIndex(1), upTo(1)))).toEqual([1]);
    expect(disk.reads).toBe(0);
    save(log, disk);
    expect(indexes(log.slice(logIndex(1), upTo(1)))).toEqual([1]);
    expect(disk.reads).toBe(1);
    expect(indexes(log.slice(logIndex(1), upTo(Infinity)))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(log.term(logIndex(1))).toBe(1);
  });

  it('RAFT-27: entries that are not on disk stay in memory, however many', () => {
    const { log, disk } = logOf([]);
    const data = new Uint8Array(logCacheBytesMax / 4);
    for (let index = 1; index <= 8; index++) log.append(entry(index, 1, data));
    log.markPersisted();
    expect(indexes(log.slice(logIndex(1), upTo(Infinity)))).toHaveLength(8);
    expect(disk.reads).toBe(0);
  });

  it('RAFT-28: a slice holds at least one entry, and no more bytes or entries than asked, in memory, on disk and across', () => {
    const disk = new Disk();
    for (let index = 1; index <= 3; index++) disk.log.push(entry(index, 1, new Uint8Array(10)));
    const log = new RaftLog(disk, founding, disk.hardState, disk.applied);
    for (let index = 4; index <= 6; index++) log.append(entry(index, 1, new Uint8Array(10)));
    expect(indexes(log.slice(logIndex(5), upTo(5)))).toEqual([5]);
    expect(indexes(log.slice(logIndex(4), upTo(20)))).toEqual([4, 5]);
    expect(indexes(log.slice(logIndex(4), upTo(19)))).toEqual([4]);
    expect(indexes(log.slice(logIndex(1), upTo(5)))).toEqual([1]);
    expect(indexes(log.slice(logIndex(1), upTo(30)))).toEqual([1, 2, 3]);
    expect(indexes(log.slice(logIndex(2), upTo(40)))).toEqual([2, 3, 4, 5]);
    expect(indexes(log.slice(logIndex(7), upTo(40)))).toEqual([]);
    expect(indexes(log.slice(logIndex(2), { bytes: 40, entries: 3 }))).toEqual([2, 3, 4]);
    expect(indexes(log.slice(logIndex(1), { bytes: 20, entries: 3 }))).toEqual([1, 2]);
    expect(indexes(log.slice(logIndex(6), { bytes: 20, entries: 3 }))).toEqual([6]);
  });

  it('RAFT-29: committed entries are handed out once, in order, in portions', () => {
    const disk = new Disk();
    for (let index = 1; index <= 5; index++) disk.log.push(entry(index, 1, new Uint8Array(10)));
    disk.hardState = { term: term(1), votedFor: null, commit: logIndex(5) };
    disk.applied = logIndex(1);
    const log = new RaftLog(disk, founding, disk.hardState, disk.applied);
    expect(indexes(log.takeCommitted(upTo(20)))).toEqual([2, 3]);
    expect(indexes(log.takeCommitted(upTo(20)))).toEqual([4, 5]);
    expect(log.hasUnapplied).toBe(false);
    expect(indexes(log.takeCommitted(upTo(20)))).toEqual([]);
    const again = new RaftLog(disk, founding, disk.hardState, disk.applied);
    expect(indexes(again.takeCommitted({ bytes: Infinity, entries: 3 }))).toEqual([2, 3, 4]);
    expect(again.hasUnapplied).toBe(true);
    expect(indexes(again.takeCommitted({ bytes: Infinity, entries: 3 }))).toEqual([5]);
  });

  it('RAFT-29: what is applied is committed, even if the hard state is older', () => {
    const disk = new Disk();
    disk.preset([1, 1, 1], { term: 1, commit: 1 });
    const log = new RaftLog(disk, founding, disk.hardState, logIndex(2));
    expect([log.commit, log.applied]).toEqual([2, 2]);
    expect(() => new RaftLog(disk, founding, disk.hardState, logIndex(4))).toThrow(AssertionError);
  });
});
