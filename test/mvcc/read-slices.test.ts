// Reads in slices: their answers, and how much of the store each slice looks at.

import { describe, expect, it } from 'vitest';
import { leaseId, logIndex } from '../../src/model/brands.ts';
import { readSlicePassedRows, readSliceRows, readSliceValueBytes } from '../../src/limits.ts';
import type { Command, Compare, RangeRequest, TxnOperation, TxnRequest } from '../../src/model/store.ts';
import { runSteps } from '../../src/mvcc/steps.ts';
import { Store } from '../../src/mvcc/store.ts';
import { commandWork } from '../../src/mvcc/work-budget.ts';
import { NodeSql } from '../support/node-sql.ts';
import { randomCommands, steadyKey } from './random-commands.ts';
import { RandomOperations } from './random-operations.ts';
import {
  Fed,
  compact,
  everything,
  grant,
  keyRange,
  prefix,
  put,
  putLeased,
  range,
  read,
  remove,
  revokeLease,
  service,
  txnRequest,
  versionIs,
} from './requests.ts';

const small = { rowsMax: 3, passedRowsMax: 4, valueBytesMax: 40 };

function sliced(): Fed {
  const fed = new Fed(new NodeSql());
  fed.store = new Store(fed.sql, commandWork, small);
  return fed;
}

function countSteps<Result>(steps: Generator<void, Result, void>): { result: Result; count: number } {
  for (let count = 1; ; count++) {
    const step = steps.next();
    if (step.done === true) return { result: step.value, count };
  }
}

/** Reads that go through the store in every way there is. */
function someRange(random: RandomOperations, fed: Fed): RangeRequest {
  const { revision } = fed.store;
  const oldest = Math.max(1, fed.store.compactedRevision);
  return range(random.chance(0.6) ? everything : random.range(), {
    limit: random.chance(0.5) ? 1 + random.below(12) : 0,
    revision: random.chance(0.4) ? oldest + random.below(revision - oldest + 1) : 0,
    sortOrder: random.below(3),
    sortTarget: random.chance(0.5) ? 0 : random.below(5),
    keysOnly: random.chance(0.2),
    countOnly: random.chance(0.2),
    minModRevision: random.chance(0.3) ? 1 + random.below(revision) : 0,
    maxCreateRevision: random.chance(0.2) ? 1 + random.below(revision) : 0,
  });
}

function someTxn(random: RandomOperations, fed: Fed): TxnRequest {
  const reads = (): TxnOperation[] => [{ kind: 'range', request: someRange(random, fed) }];
  const compare = [versionIs(everything, random.below(3), random.below(4))];
  const nested: TxnOperation = { kind: 'txn', request: txnRequest({ compare, success: reads(), failure: reads() }) };
  return txnRequest({ compare, success: [...reads(), nested], failure: [nested, ...reads()] });
}

function command(operation: Command['operation'], writeId: string): Command {
  return { writeId, caller: service, atMs: 1, operation };
}

describe('a read in slices', () => {
  it('MVCC-SLICE-1: answers what it would have answered at once, whatever is written, compacted and swept meanwhile', () => {
    const random = new RandomOperations(5);
    const fed = sliced();
    const sent: Command[] = [];
    fed.do(steadyKey);
    let round = 1;
    let slices = 0;
    const write = (): void => {
      const commands = randomCommands(random, sent, fed, ++round);
      fed.store.apply(logIndex(round), commands);
      if (random.chance(0.2)) fed.store.apply(logIndex(++round), [command(compact(fed.store.revision), `c${round}`)]);
      if (random.chance(0.5)) fed.sweep();
    };
    const inSlices = <Result>(steps: Generator<void, Result, void>): Result => {
      const release = fed.store.holdHistory();
      for (;;) {
        const step = steps.next();
        if (step.done === true) {
          release();
          return step.value;
        }
        slices++;
        if (random.chance(0.7)) write();
      }
    };
    for (let asked = 0; asked < 700; asked++) {
      write();
      const request = someRange(random, fed);
      const range = fed.store.range(request);
      expect(inSlices(fed.store.rangeInSteps(request))).toEqual(range);
      const txn = someTxn(random, fed);
      const answer = runSteps(fed.store.readTxnInSteps(txn, service, 1));
      expect(inSlices(fed.store.readTxnInSteps(txn, service, 1))).toEqual(answer);
    }
    expect(slices).toBeGreaterThan(500);
  });

  it('MVCC-SLICE-2: readSliceRows rows are one slice and one more another, of any revision and with a filter', () => {
    const fed = new Fed(new NodeSql());
    const value = new Uint8Array(10);
    const puts = (count: number, from = 0) => Array.from({ length: count }, (_, n) => put(`k/${from + n}`, value));
    fed.batch(puts(readSliceRows));
    const requests = [
      range(everything),
      range(everything, { minModRevision: 1 }),
      range(everything, { sortTarget: 3 }),
    ];
    const slicesOf = (): number[] => requests.map((request) => countSteps(fed.store.rangeInSteps(request)).count);
    fed.batch([put('k/0'), put('k/1')]);
    requests.push(range(everything, { revision: fed.store.revision - 1 }));
    fed.remove('k/0');
    fed.put('k/0');
    // A full slice does not know whether it is the last.
    const limited = range(everything, { limit: readSliceRows - 1 });
    expect(countSteps(fed.store.rangeInSteps(limited)).count).toBe(1);
    fed.remove('k/0');
    expect(slicesOf()).toEqual([1, 1, 1, 2]);
    fed.batch(puts(2, readSliceRows));
    expect(slicesOf()).toEqual([2, 2, 2, 2]);
  });

  it('MVCC-SLICE-3: readSlicePassedRows rows are counted and passed by at once, and one more is another slice', () => {
    const fed = new Fed(new NodeSql());
    for (let from = 0; from < readSlicePassedRows; from += 1_000) {
      fed.batch(Array.from({ length: 1_000 }, (_, n) => put(`k/${from + n}`)));
    }
    const count = range(prefix('k/'), { countOnly: true });
    const none = range(prefix('k/'), { maxModRevision: 1 });
    const keys = (): number => fed.store.sizes().keys;
    const counted = () => [count, none].map((request) => countSteps(fed.store.rangeInSteps(request)));
    expect(counted()).toMatchObject([
      { count: 1, result: { answer: { count: readSlicePassedRows } } },
      { count: 1, result: { answer: { kvs: [] } } },
    ]);
    fed.put('k/more');
    expect(counted()).toMatchObject([
      { count: 2, result: { answer: { count: readSlicePassedRows + 1 } } },
      { count: 3, result: { answer: { kvs: [], count: readSlicePassedRows + 1 } } },
    ]);
    expect(keys()).toBe(readSlicePassedRows + 1);
  });

  it('MVCC-SLICE-4: values of readSliceValueBytes end a slice', () => {
    const fed = new Fed(new NodeSql());
    const value = new Uint8Array(readSliceValueBytes / 4);
    for (let n = 0; n < 3; n++) fed.put(`k/${n}`, value);
    const slices = (options: Partial<RangeRequest> = {}): number =>
      countSteps(fed.store.rangeInSteps(range(everything, options))).count;
    expect(slices()).toBe(1);
    fed.put('k/3', value);
    expect([slices(), slices({ keysOnly: true })]).toEqual([2, 1]);
  });

  it('MVCC-SLICE-10: the parts of a transaction share the bounds of a slice: values, rows, counted rows, and compares', () => {
    const fed = new Fed(new NodeSql());
    const value = new Uint8Array(readSliceValueBytes / 4);
    fed.put('large', value);
    fed.batch(Array.from({ length: readSliceRows / 2 }, (_, n) => put(`k/${n}`, '')));
    const slices = (parts: Parameters<typeof txnRequest>[0]): number =>
      countSteps(fed.store.readTxnInSteps(txnRequest(parts), service, 1)).count;
    const large = Array.from({ length: 4 }, () => read('large'));
    expect(slices({ success: large })).toBe(1);
    expect(slices({ success: [...large, read('large')] })).toBe(2);
    expect(slices({ success: [...large, { kind: 'txn', request: txnRequest({ success: [read('large')] }) }] })).toBe(2);
    const keys = read(keyRange('k/', 'k0'));
    expect([slices({ success: [keys, keys] }), slices({ success: [keys, keys, keys] })]).toEqual([1, 2]);
    const counted = read(keyRange('k/', 'k0'), { countOnly: true });
    const ofSlice = (readSlicePassedRows * 2) / readSliceRows;
    expect(slices({ success: Array.from({ length: ofSlice }, () => counted) })).toBe(1);
    expect(slices({ success: Array.from({ length: ofSlice + 1 }, () => counted) })).toBe(2);
    const same: Compare = { ...keyRange('large'), target: 'value', result: 0, operand: value };
    const compares = Array.from({ length: 5 }, () => same);
    expect([slices({ compare: compares.slice(1) }), slices({ compare: compares })]).toEqual([1, 2]);
  });

  it('MVCC-SLICE-5: a key with more versions than a slice passes by is looked up', () => {
    const fed = sliced();
    for (let n = 0; n < 30; n++) fed.batch([put('a', `${n}`), put('b', `${n}`), put('c', `${n}`)]);
    fed.remove('b');
    for (const sortOrder of [0, 2]) {
      for (let revision = 2; revision <= fed.store.revision; revision += 7) {
        const { result, count } = countSteps(fed.store.rangeInSteps(range(everything, { revision, sortOrder })));
        expect(result).toEqual(fed.store.range(range(everything, { revision, sortOrder })));
        expect(count).toBeLessThan(12);
      }
    }
  });

  it('MVCC-SLICE-6: keys are counted in slices while others come and go, and after a command was undone', () => {
    const fed = sliced();
    for (let n = 0; n < 40; n++) fed.put(`k/${n}`);
    const steps = fed.store.countKeysInSteps();
    const other = fed.store.countKeysInSteps();
    steps.next();
    fed.remove(prefix('k/1'));
    other.next();
    fed.put('new');
    steps.next();
    fed.store.reopen();
    fed.put('newer');
    expect([countSteps(steps).result, countSteps(other).result, fed.store.sizes().keys]).toEqual([31, 31, 31]);
    fed.remove('new');
    expect(fed.store.sizes().keys).toBe(30);
  });

  it('MVCC-SLICE-7: a txn that only reads looks at more than a command may, in slices', () => {
    const fed = sliced();
    for (let n = 0; n < 50; n++) fed.put(`k/${n}`);
    const request = txnRequest({
      compare: [versionIs(everything, 1)],
      success: [read(everything), read(prefix('k/1'))],
    });
    const { result, count } = countSteps(fed.store.readTxnInSteps(request, service, 1));
    expect(result).toMatchObject({
      kind: 'txn',
      answer: { succeeded: true, parts: [{ answer: { count: 50 } }, { answer: { count: 11 } }] },
    });
    expect(count).toBeGreaterThan(30);
    expect(remove(everything).kind).toBe('deleteRange');
  });
});

describe('a list of leases', () => {
  it('MVCC-SLICE-8: of more than readSliceRows goes on in slices, and tells each that is there all the while once', () => {
    const fed = new Fed(new NodeSql());
    const ids = Array.from({ length: readSliceRows + 1 }, (_, n) => n + 10);
    fed.batch(ids.map((id) => grant(id)));
    const steps = fed.store.queryInSteps({ kind: 'leases' }, service, 1);
    expect(steps.next().done).toBe(false);
    fed.batch([revokeLease(10), revokeLease(999), grant(5), grant(9_999)]);
    const { result } = countSteps(steps);
    const told = result.kind === 'answer' ? result.answer.ids.map(Number) : [];
    expect(new Set(told).size).toBe(told.length);
    expect(told.filter((id) => ![10, 999, 5, 9_999].includes(id)).sort((left, right) => left - right)).toEqual(
      ids.filter((id) => ![10, 999].includes(id)),
    );
  });

  it('MVCC-SLICE-9: and so do the keys of one lease', () => {
    const fed = new Fed(new NodeSql());
    fed.do(grant(7));
    fed.batch(Array.from({ length: readSliceRows }, (_, n) => putLeased(`k/${n}`, 7)));
    const ask = () =>
      countSteps(fed.store.queryInSteps({ kind: 'timeToLive', id: leaseId(7n), keys: true }, service, 1));
    fed.do(putLeased('more', 7));
    const { result, count } = ask();
    expect(count).toBe(2);
    expect(result.kind === 'answer' && result.answer.lease?.keys.length).toBe(readSliceRows + 1);
  });
});
