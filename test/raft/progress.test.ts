import { describe, expect, it } from 'vitest';
import { logIndex, replicaId } from '../../src/model/brands.ts';
import { appendsInFlightMax } from '../../src/limits.ts';
import { Progress, type Rejection } from '../../src/raft/progress.ts';

function replicatingFrom(match: number): Progress {
  const progress = new Progress(replicaId(2), logIndex(match + 1), 0);
  progress.accepted(logIndex(match), 0);
  return progress;
}

/** The answer is to an append that left before any round began. */
function rejection(rejectedIndex: number, fit: number): Rejection {
  return { rejectedIndex: logIndex(rejectedIndex), fit: logIndex(fit), round: 0 };
}

describe('progress of a follower', () => {
  it('RAFT-30: probing sends one append, then waits for an answer or a sign of life', () => {
    const progress = new Progress(replicaId(2), logIndex(11), 0);
    expect([progress.replicating, progress.maySend]).toEqual([false, true]);
    progress.sent(logIndex(15));
    expect([progress.maySend, progress.next]).toEqual([false, 11]);
    progress.resumeProbe();
    expect(progress.maySend).toBe(true);
    progress.sent(logIndex(15));
    progress.accepted(logIndex(15), 0);
    expect([progress.replicating, progress.match, progress.next, progress.maySend]).toEqual([true, 15, 16, true]);
  });

  it('RAFT-30: a rejected probe goes back to where the logs could agree, and late rejections do nothing', () => {
    const progress = new Progress(replicaId(2), logIndex(11), 0);
    expect(progress.rejected(rejection(10, 4))).toBe(true);
    expect(progress.next).toBe(5);
    expect(progress.rejected(rejection(10, 2))).toBe(false);
    expect(progress.next).toBe(5);
    // The leader always goes back at least by one, because the same append would be sent for ever otherwise.
    expect(progress.rejected(rejection(4, 9))).toBe(true);
    expect(progress.next).toBe(4);
  });

  it('RAFT-31: appendsInFlightMax appends may be under way, and not one more', () => {
    const progress = replicatingFrom(0);
    for (let index = 1; index <= appendsInFlightMax; index++) {
      expect(progress.maySend).toBe(true);
      progress.sent(logIndex(index));
    }
    expect(progress.maySend).toBe(false);
    progress.accepted(logIndex(1), 0);
    expect(progress.maySend).toBe(true);
    progress.sent(logIndex(appendsInFlightMax + 1));
    expect(progress.maySend).toBe(false);
    // One answer stands for all appends before it.
    progress.accepted(logIndex(appendsInFlightMax), 0);
    for (let index = 2; index <= appendsInFlightMax; index++) {
      expect(progress.maySend).toBe(true);
      progress.sent(logIndex(appendsInFlightMax + index));
    }
    expect(progress.maySend).toBe(false);
  });

  it('RAFT-31: appends without entries take no place in the window', () => {
    const progress = replicatingFrom(3);
    for (let count = 0; count <= appendsInFlightMax; count++) progress.sent(logIndex(3));
    expect([progress.maySend, progress.next]).toEqual([true, 4]);
  });

  it('RAFT-32: a rejection while replicating goes back to what matches, the further ones do nothing', () => {
    const progress = replicatingFrom(3);
    for (let index = 4; index <= 8; index++) progress.sent(logIndex(index));
    expect(progress.rejected(rejection(5, 5))).toBe(true);
    expect([progress.replicating, progress.next, progress.maySend]).toEqual([false, 4, true]);
    progress.sent(logIndex(8));
    expect(progress.rejected(rejection(6, 5))).toBe(false);
    expect(progress.maySend).toBe(false);
    // A rejection that is news cannot be about entries that are known to match.
    expect(progress.rejected(rejection(3, 2))).toBe(false);
    progress.accepted(logIndex(8), 0);
    expect([progress.match, progress.next]).toEqual([8, 9]);
  });

  it('RAFT-63: what a later message finds missing was lost, and nothing counts any more that was answered before', () => {
    const progress = new Progress(replicaId(2), logIndex(1), 0);
    progress.accepted(logIndex(8), 3);
    progress.heartbeatSent(logIndex(8), 4);
    progress.answered(4);
    // The append may have left before the answer that raised `match` came, and may have arrived before the append that
    // this answered.
    expect(progress.rejected({ rejectedIndex: logIndex(8), fit: logIndex(2), round: 3 })).toBe(false);
    expect([progress.match, progress.commitTold]).toEqual([8, 8]);
    expect(progress.rejected({ rejectedIndex: logIndex(8), fit: logIndex(2), round: 4 })).toBe(true);
    expect([progress.match, progress.next, progress.commitTold, progress.replicating]).toEqual([0, 3, 0, false]);
  });

  it('RAFT-32: a late answer moves nothing back', () => {
    const progress = replicatingFrom(5);
    progress.sent(logIndex(9));
    progress.accepted(logIndex(4), 0);
    expect([progress.match, progress.next]).toEqual([5, 10]);
  });

  it('RAFT-33: a commit counts as told by an answer to the heartbeat that carried it, or to a later message', () => {
    const progress = replicatingFrom(5);
    progress.heartbeatSent(logIndex(4), 7);
    progress.answered(6);
    expect(progress.commitTold).toBe(0);
    progress.heartbeatSent(logIndex(4), 8);
    progress.answered(7);
    expect(progress.commitTold).toBe(4);
    progress.heartbeatSent(logIndex(5), 9);
    progress.answered(8);
    expect(progress.commitTold).toBe(4);
    progress.answered(10);
    expect(progress.commitTold).toBe(5);
  });
});
