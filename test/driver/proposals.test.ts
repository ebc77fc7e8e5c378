// Which writes share a log entry, and how many may wait for one.

import { describe, expect, it } from 'vitest';
import {
  commandRowsMax,
  entryRowsMax,
  entryValueBytesMax,
  heavyEntryRows,
  heavyRowPauseMs,
  rowsOfWrittenRow,
  valueBytesMax,
  writesQueuedMax,
  writesQueuedRowsMax,
  writesQueuedShare,
} from '../../src/limits.ts';
import type { Caller, Operation } from '../../src/model/store.ts';
import { Proposals } from '../../src/driver/proposals.ts';
import { prefix, put, remove, service, txn, versionIs } from '../mvcc/requests.ts';

const key: Caller = { kind: 'accessKey', id: 'k' };
const ofRange: Operation = txn({ compare: [versionIs(prefix('k'), 1)] });

/** The number of writes in each entry. */
function entriesOf(operations: readonly Operation[]): readonly number[] {
  const proposals = new Proposals();
  for (const [place, operation] of operations.entries()) {
    expect(
      proposals.enqueue({ request: { writeId: `w${place}`, caller: service, operation }, settle: () => undefined }),
    ).toBeNull();
  }
  const sizes: number[] = [];
  while (!proposals.isEmpty) sizes.push(proposals.takeForEntry(1).commands.length);
  return sizes;
}

function times<Item>(count: number, item: Item): Item[] {
  return Array.from({ length: count }, () => item);
}

describe('the writes of one log entry', () => {
  it('GROUP-WORK-1: take at most entryRowsMax rows, as their requests tell', () => {
    const perEntry = entryRowsMax / commandRowsMax;
    expect(entriesOf(times(2 * perEntry + 1, ofRange))).toEqual([perEntry, perEntry, 1]);
    const puts = times(entryRowsMax / rowsOfWrittenRow, put('k'));
    expect(entriesOf(puts.slice(0, 5_000))).toEqual([5_000]);
    expect(entriesOf([...puts.slice(0, puts.length / 2), ofRange, put('k')])).toEqual([puts.length / 2 + 1, 1]);
    expect(entriesOf([...times(perEntry, remove(prefix('k'))), put('k')])).toEqual([perEntry, 1]);
  });

  it('GROUP-WORK-1: take at most entryValueBytesMax bytes of values, as their requests tell', () => {
    const perEntry = Math.floor(entryValueBytesMax / valueBytesMax);
    const withPrevious = put('k', 'v', { previous: true });
    expect(entriesOf([...times(perEntry, withPrevious), put('k'), withPrevious])).toEqual([perEntry + 1, 1]);
    const list = txn({ success: times(128, put('k', '', { ignoreValue: true })) });
    expect(entriesOf([list, put('k'), list])).toEqual([2, 1]);
  });

  it('GROUP-WORK-2: wait only as far as they take writesQueuedRowsMax rows', () => {
    const proposals = new Proposals();
    const enqueue = (operation: Operation): boolean =>
      proposals.enqueue({ request: { writeId: 'w', caller: service, operation }, settle: () => undefined }) === null;
    for (let count = 0; count < writesQueuedRowsMax / commandRowsMax; count++) expect(enqueue(ofRange)).toBe(true);
    expect(enqueue(put('k'))).toBe(false);
    proposals.takeForEntry(1);
    expect(enqueue(ofRange)).toBe(true);
    proposals.giveUp();
    expect(enqueue(ofRange)).toBe(true);
  });

  it('GROUP-WORK-4: after heavy work wait in proportion to it, so that others have their turns', () => {
    const proposals = new Proposals();
    const enqueue = (): unknown =>
      proposals.enqueue({ request: { writeId: 'w', caller: service, operation: put('k') }, settle: () => undefined });
    enqueue();
    proposals.worked(heavyEntryRows, 1_000);
    expect(proposals.mayPropose(1_000)).toBe(true);
    const rows = 4 * heavyEntryRows;
    proposals.worked(rows, 1_000);
    expect(proposals.mayPropose(1_000 + rows * heavyRowPauseMs - 1)).toBe(false);
    expect(proposals.mayPropose(1_000 + rows * heavyRowPauseMs)).toBe(true);
    // A clock that was set back does not prolong the pause beyond its length.
    expect(proposals.mayPropose(500)).toBe(true);
  });

  it('GROUP-WORK-5: writes of several sources are taken in turn where not all fit, each source in its order', () => {
    const proposals = new Proposals();
    const enqueue = (writeId: string, source: string, operation: Operation): void => {
      const write = { request: { writeId, caller: key, operation }, source, settle: () => undefined };
      expect(proposals.enqueue(write)).toBeNull();
    };
    const perEntry = entryRowsMax / commandRowsMax;
    for (let count = 0; count < 2 * perEntry; count++) enqueue(`a${count}`, 'a', ofRange);
    enqueue('b0', 'b', ofRange);
    enqueue('b1', 'b', put('k'));
    const taken = (): string[] => proposals.takeForEntry(1).commands.map(({ writeId }) => writeId);
    expect([taken(), taken(), taken()]).toEqual([
      ['a0', 'b0'],
      ['a1', 'b1'],
      ['a2', 'a3'],
    ]);
    expect(proposals.isEmpty).toBe(true);
  });

  it('GROUP-WORK-6: one source has writesQueuedShare of what may wait, and others have the rest', () => {
    const proposals = new Proposals();
    const enqueue = (source: string, caller: Caller = key): boolean =>
      proposals.enqueue({
        request: { writeId: 'w', caller, operation: put('k') },
        source,
        settle: () => undefined,
      }) === null;
    const share = writesQueuedMax * writesQueuedShare;
    for (let count = 0; count < share; count++) if (!enqueue('a')) expect(count).toBe(share);
    expect(enqueue('a')).toBe(false);
    for (let count = share; count < writesQueuedMax - 1; count++) if (!enqueue('b')) expect(count).toBe(share);
    expect(enqueue('s', service)).toBe(true);
    expect(enqueue('b')).toBe(false);
    while (!proposals.isEmpty) proposals.takeForEntry(1);
    expect(enqueue('a')).toBe(true);
  });
});
