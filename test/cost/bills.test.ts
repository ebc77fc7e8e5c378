// The arithmetic of bills. What is priced is measured by `npm run cost`.

import { expect, it } from 'vitest';
import { bills, type Figures } from './bills.ts';
import { beyond, dollarsOf, noCounts } from './counts.ts';
import { prices } from './prices.ts';

function dollars(counts: Partial<typeof noCounts>): number {
  return dollarsOf({ ...noCounts, ...counts }) * 1e6;
}

it('COST-3: counts are priced one by one, and what is deleted later is paid with what is written', () => {
  expect(dollars({})).toBe(0);
  expect(dollars({ rowsWritten: 4, rowsDeleted: 3 })).toBeCloseTo(4);
  expect(dollars({ rowsWritten: 4, historyRows: 2 })).toBeCloseTo(6);
  expect(dollars({ rowsRead: 1_000 })).toBeCloseTo(1);
  expect(dollars({ messages: 20 })).toBeCloseTo(0.15);
  expect(dollars({ objectRequests: 1, peerRequests: 1, alarms: 1 })).toBeCloseTo(0.45);
  expect(dollars({ workerRequests: 1 })).toBeCloseTo(0.3);
  expect(dollars({ objectSeconds: 1 })).toBeCloseTo(1.6);
  expect(beyond({ ...noCounts, alarms: 1 }, { ...noCounts, alarms: 3, messages: -1 })).toEqual({
    ...noCounts,
    messages: 1,
  });
});

it('COST-3: a bill is the sum of its parts, and what nobody uses costs its storage', () => {
  const nothing = {
    lonePut: noCounts,
    loneGet: noCounts,
    putAlone: noCounts,
    putAmong64: noCounts,
    getAmong64: noCounts,
  };
  const unused: Figures = {
    ...nothing,
    watchEvent: noCounts,
    awakeSecond: noCounts,
    asleepHour: noCounts,
    storedBytesOfKey: 1_000,
    storedBytesOfRevision: 0,
  };
  const [hobby] = bills(unused);
  expect(hobby).toMatchObject({ rows: 0, requests: 0, time: 0 });
  expect(hobby?.total).toBeCloseTo(0.001 * prices.storedGbMonths);
  const one = { ...noCounts, rowsWritten: 1, objectRequests: 2, objectSeconds: 3 };
  for (const bill of bills({ ...unused, lonePut: one, putAlone: one, putAmong64: one })) {
    expect(bill.rows).toBeGreaterThan(0);
    expect(bill.requests / bill.rows).toBeCloseTo(0.3);
    expect(bill.time / bill.rows).toBeCloseTo(4.8);
    expect(bill.total).toBeCloseTo(bill.rows + bill.requests + bill.time + bill.storage);
  }
});
