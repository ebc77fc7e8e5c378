// Writes that may have been done and forgotten: they say how many writes their sender had seen, and are not done.

import { describe, expect, it } from 'vitest';
import { logIndex } from '../../src/model/brands.ts';
import { groupLevel } from '../../src/model/levels.ts';
import type { Command, Outcome } from '../../src/model/store.ts';
import { applyCarefully } from '../../src/mvcc/careful-apply.ts';
import { Store } from '../../src/mvcc/store.ts';
import { NodeSql } from '../support/node-sql.ts';
import { put, service, toLevel, txn } from './requests.ts';

const windowMax = 8;
/** How an entry may come to be applied. */
const ways = ['at once', 'in memory', 'command by command'] as const;
type Way = (typeof ways)[number];

class SmallStore {
  readonly #sql = new NodeSql();
  readonly #way: Way;
  store: Store;
  #index = 0;

  constructor(way: Way = 'at once', level: number = groupLevel.seventh) {
    this.#way = way;
    this.store = this.#opened();
    this.#apply('at once', [commandOf('level', toLevel(level))]);
  }

  #opened(): Store {
    return new Store(this.#sql, undefined, undefined, windowMax);
  }

  reopen(): void {
    this.#sql.transaction(() => this.store.flush());
    this.store = this.#opened();
  }

  apply(...commands: readonly Command[]): readonly Outcome[] {
    return this.#apply(this.#way, commands);
  }

  #apply(way: Way, commands: readonly Command[]): readonly Outcome[] {
    const index = logIndex(++this.#index);
    if (way === 'in memory') return this.store.applyToMemory(index, commands).outcomes;
    return this.#sql.transaction(() => {
      if (way === 'at once') return this.store.apply(index, commands).outcomes;
      return applyCarefully(this.#sql, this.store, index, commands).applied.outcomes;
    });
  }

  /** So many writes of others, in one entry. */
  others(count: number, name: string): void {
    this.apply(...Array.from({ length: count }, (_, nth) => commandOf(`${name}${nth}`, put(`${name}${nth}`))));
  }
}

function commandOf(writeId: string, operation: Command['operation'], seen?: number): Command {
  return { writeId, caller: service, atMs: 1, operation, ...(seen === undefined ? {} : { seen }) };
}

const unknown = (writes: number): unknown => ({ kind: 'failed', failure: { kind: 'outcomeUnknown', writes } });

describe.each(ways)('an entry that is applied %s', (way) => {
  it('MVCC-RETRY-10: a write that may have been forgotten is not applied, and leaves nothing', () => {
    const small = new SmallStore(way);
    const seen = small.store.writesTotal;
    const [first] = small.apply(commandOf('mine', put('k', 'once'), seen));
    small.others(windowMax - 1, 'a');
    // As many writes as are remembered came since, with the write among them.
    expect(small.apply(commandOf('mine', put('k', 'once'), seen))).toEqual([first]);
    small.others(1, 'b');
    for (const again of ['', 'again', 'reopened']) {
      if (again === 'reopened') small.reopen();
      const { revision, writesTotal } = small.store;
      expect(small.apply(commandOf('mine', put('k', 'once'), seen))).toMatchObject([unknown(writesTotal)]);
      expect(small.apply(commandOf('mine', txn({ success: [put('k')] }), seen))).toMatchObject([unknown(writesTotal)]);
      expect(small.store).toMatchObject({ revision, writesTotal });
    }
    // Whoever does not count may do a write twice.
    expect(small.apply(commandOf('mine', put('k', 'once')))).toMatchObject([{ kind: 'put' }]);
  });

  it('MVCC-RETRY-10: a write that cannot have been forgotten is applied, up to the last one', () => {
    const small = new SmallStore(way);
    const seen = small.store.writesTotal;
    small.others(windowMax, 'a');
    expect(small.apply(commandOf('first', put('k'), seen))).toMatchObject([{ kind: 'put' }]);
    expect(small.apply(commandOf('late', put('k'), seen))).toMatchObject([unknown(seen + windowMax + 1)]);
    expect(small.apply(commandOf('late', put('k'), seen + 1))).toMatchObject([{ kind: 'put' }]);
  });

  it('MVCC-RETRY-11: the writes before it in its entry count', () => {
    const small = new SmallStore(way);
    const seen = small.store.writesTotal;
    small.others(windowMax - 2, 'a');
    const commands = ['x', 'y', 'z', 'w'].map((writeId) => commandOf(writeId, put(writeId), seen));
    const outcomes = small.apply(...commands);
    const last = seen + windowMax + 1;
    expect(outcomes).toMatchObject([{ kind: 'put' }, { kind: 'put' }, { kind: 'put' }, unknown(last)]);
    // The one that is known is answered, and is not counted again.
    expect(small.apply(commandOf('z', put('z'), seen), commandOf('w', put('w'), seen))).toMatchObject([
      outcomes[2],
      unknown(last),
    ]);
  });
});

it('MVCC-RETRY-10: below level 7 such a write is applied, as ever', () => {
  const small = new SmallStore('at once', groupLevel.sixth);
  small.others(windowMax + 1, 'a');
  expect(small.apply(commandOf('late', put('k'), 0))).toMatchObject([{ kind: 'put' }]);
  expect(small.store.answerWithoutLog({ ...commandOf('cold', put('k')), seen: null })).toBeNull();
});

it('MVCC-RETRY-12: a sender that was told of no count is told of it, whatever the count is, unless its id is known', () => {
  const small = new SmallStore();
  const cold = { ...commandOf('cold', put('k')), seen: null };
  const { writesTotal } = small.store;
  expect(small.store.answerWithoutLog(cold)).toMatchObject({ kind: 'remembered', outcome: unknown(writesTotal) });
  small.apply(commandOf('cold', put('k')));
  expect(small.store.answerWithoutLog(cold)).toMatchObject({ kind: 'remembered', outcome: { kind: 'put' } });
});
