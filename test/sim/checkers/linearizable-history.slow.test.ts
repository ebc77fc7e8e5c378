import { expect, it } from 'vitest';
import { Random } from '../../support/random.ts';
import { checkLinearizable } from './linearizable-history.ts';
import { makeHistory } from './random-history.ts';
import { staleRead } from './stale-read.ts';

it('CHECK-LINEAR-7: 10,000 operations on two keys are decided, right and wrong', () => {
  const random = new Random(7);
  const { history } = makeHistory({
    random,
    operations: 10_000,
    clients: 12,
    keys: ['a', 'b'],
    lost: 0.02,
    refused: 0.01,
  });
  expect(checkLinearizable(history)).toEqual([]);
  const place = [...history.keys()].findLast((each) => staleRead(history, each) !== null) ?? 0;
  const operation = staleRead(history, place);
  if (operation === null) throw new Error('no read');
  const violations = checkLinearizable(history.with(place, operation));
  expect(violations.map(({ rule }) => rule)).toEqual(['linearizable']);
  expect(violations[0]?.operations).toContain(operation);
});
