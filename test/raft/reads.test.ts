import { describe, expect, it } from 'vitest';
import { logIndex, replicaId } from '../../src/model/brands.ts';
import { readsPendingMax } from '../../src/limits.ts';
import { LocalReads, ReadRounds } from '../../src/raft/reads.ts';

const from = replicaId(1);

describe('rounds of reads on a leader', () => {
  it('RAFT-36: readsPendingMax reads may wait, and not one more', () => {
    const rounds = new ReadRounds();
    for (let context = 1; context < readsPendingMax; context++) rounds.add({ from, context });
    rounds.start(1, logIndex(1));
    expect(rounds.add({ from, context: readsPendingMax })).toBe(true);
    expect(rounds.add({ from, context: readsPendingMax + 1 })).toBe(false);
    rounds.confirm(1);
    expect(rounds.add({ from, context: readsPendingMax + 1 })).toBe(true);
  });

  it('RAFT-37: a round confirms what waited when it began, and rounds before it', () => {
    const rounds = new ReadRounds();
    rounds.add({ from, context: 1 });
    rounds.start(5, logIndex(3));
    rounds.add({ from, context: 2 });
    expect(rounds.wantsRound).toBe(false);
    rounds.start(6, logIndex(4));
    rounds.add({ from, context: 3 });
    expect(rounds.confirm(4)).toEqual([]);
    expect(rounds.confirm(6).map(({ index, reads }) => [index, reads.map(({ context }) => context)])).toEqual([
      [3, [1]],
      [4, [2]],
    ]);
    expect(rounds.wantsRound).toBe(true);
    expect(rounds.drain()).toEqual([{ from, context: 3 }]);
    expect(rounds.isEmpty).toBe(true);
  });
});

describe('reads of a host', () => {
  it('RAFT-36: a host may have readsPendingMax reads open, and one more is refused', () => {
    const reads = new LocalReads(0);
    for (let context = 1; context <= readsPendingMax + 1; context++) reads.ask(context);
    expect(reads.takeRefused()).toEqual([readsPendingMax + 1]);
    reads.answer(reads.takeQuestion(0), logIndex(0), 0);
    expect(reads.takeServed(logIndex(0))).toHaveLength(readsPendingMax);
    expect(reads.isEmpty).toBe(true);
  });

  it('RAFT-38: an answered read waits until its index is applied', () => {
    const reads = new LocalReads(0);
    reads.ask(1);
    const question = reads.takeQuestion(0);
    reads.answer(question, logIndex(5), 0);
    expect([reads.hasSettled(logIndex(4)), reads.takeServed(logIndex(4))]).toEqual([false, []]);
    expect(reads.hasSettled(logIndex(5))).toBe(true);
    expect(reads.takeServed(logIndex(6))).toEqual([{ context: 1, index: 5 }]);
    // A repeated answer finds no question.
    reads.answer(question, logIndex(5), 0);
    expect(reads.takeServed(logIndex(9))).toEqual([]);
  });

  it('RAFT-61: what is not answered for a while is asked again, all of it at once; that answer settles what was asked before', () => {
    const reads = new LocalReads(0);
    expect(reads.askAgain(9, 11)).toBeNull();
    reads.ask(1);
    const first = reads.takeQuestion(10);
    reads.ask(2);
    reads.takeQuestion(11);
    expect(reads.askAgain(10, 12)).toBeNull();
    const again = reads.askAgain(11, 13);
    expect(again).toBe(first + 2);
    expect(reads.askAgain(12, 14)).toBeNull();
    reads.ask(3);
    const later = reads.takeQuestion(14);
    // A refusal settles its own question and no other.
    reads.answer(later, null, 14);
    expect(reads.takeRefused()).toEqual([3]);
    reads.answer(again ?? 0, logIndex(5), 14);
    expect(reads.takeServed(logIndex(5)).map(({ context }) => context)).toEqual([1, 2]);
    // The answer is to a former instance, whose questions had other numbers.
    reads.ask(4);
    const last = reads.takeQuestion(15);
    reads.answer(last + 1_000, logIndex(4), 15);
    expect(reads.takeServed(logIndex(9))).toEqual([]);
    reads.answer(last, logIndex(4), 15);
    expect(reads.takeServed(logIndex(9))).toEqual([{ context: 4, index: 4 }]);
    reads.answer(first, logIndex(4), 16);
    expect([reads.isEmpty, reads.takeServed(logIndex(9)), reads.askAgain(20, 20)]).toEqual([true, [], null]);
    // A question that nobody waits for any more is not asked again.
    reads.ask(5);
    const fifth = reads.takeQuestion(20);
    expect(reads.askAgain(22, 22)).toBe(fifth + 1);
    reads.answer(fifth, logIndex(4), 23);
    expect(reads.askAgain(24, 24)).toBeNull();
  });

  it('RAFT-38: each read comes out once, whatever ends it', () => {
    const reads = new LocalReads(0);
    for (const context of [1, 2]) reads.ask(context);
    const first = reads.takeQuestion(0);
    reads.expire(0);
    expect(reads.takeRefused()).toEqual([1, 2]);
    reads.ask(3);
    reads.answer(reads.takeQuestion(3), logIndex(8), 3);
    reads.answer(first, logIndex(1), 4);
    reads.ask(4);
    reads.leaderLost();
    expect(reads.takeRefused()).toEqual([4]);
    // The answer of a leader stays good when the leader changes, but not for ever.
    expect(reads.isEmpty).toBe(false);
    reads.expire(3);
    expect(reads.takeRefused()).toEqual([3]);
    expect([reads.isEmpty, reads.takeServed(logIndex(9)), reads.takeRefused()]).toEqual([true, [], []]);
  });
});
