import { describe, expect, it } from 'vitest';
import { replicaId, type ReplicaId } from '../../src/model/brands.ts';
import { isVoter, quorumValue, tally, type Electorate } from '../../src/raft/quorum.ts';

function groupOf(size: number): Electorate {
  return { voters: Array.from({ length: size }, (_, place) => replicaId(place + 1)) };
}

describe('quorum', () => {
  it.each([
    { values: [7], value: 7 },
    { values: [7, 3], value: 3 },
    { values: [7, 3, 5], value: 5 },
    { values: [4, 4, 0], value: 4 },
    { values: [1, 2, 3, 4], value: 2 },
    { values: [9, 0, 0, 9, 4], value: 4 },
    { values: [0, 0, 0, 9, 9], value: 0 },
  ])('RAFT-34: $value is what a majority of $values has reached', ({ values, value }) => {
    const valueOf = (id: ReplicaId): number => values[id - 1] ?? 0;
    expect(quorumValue(groupOf(values.length), valueOf)).toBe(value);
    // The order of the voters does not matter.
    const reversed = values.toReversed();
    expect(quorumValue(groupOf(values.length), (id) => reversed[id - 1] ?? 0)).toBe(value);
  });

  it.each([
    { size: 1, yes: 1, no: 0, result: 'won' },
    { size: 3, yes: 1, no: 0, result: 'open' },
    { size: 3, yes: 1, no: 1, result: 'open' },
    { size: 3, yes: 2, no: 0, result: 'won' },
    { size: 3, yes: 1, no: 2, result: 'lost' },
    { size: 4, yes: 2, no: 1, result: 'open' },
    { size: 4, yes: 2, no: 2, result: 'lost' },
    { size: 5, yes: 2, no: 2, result: 'open' },
    { size: 5, yes: 3, no: 2, result: 'won' },
    { size: 5, yes: 2, no: 3, result: 'lost' },
  ])('RAFT-35: $yes for and $no against of $size: $result', ({ size, yes, no, result }) => {
    const votes = new Map<ReplicaId, boolean>();
    for (let id = 1; id <= yes + no; id++) votes.set(replicaId(id), id <= yes);
    expect(tally(groupOf(size), votes)).toBe(result);
  });

  it('RAFT-35: who is not in the group does not vote', () => {
    const votes = new Map([
      [replicaId(1), true],
      [replicaId(8), true],
      [replicaId(9), true],
    ]);
    expect(tally(groupOf(3), votes)).toBe('open');
    expect([isVoter(groupOf(3), replicaId(3)), isVoter(groupOf(3), replicaId(4))]).toEqual([true, false]);
  });
});
